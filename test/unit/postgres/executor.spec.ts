import { DataSource } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { resolveRoute } from '../../../lib/postgres/executor.js';
import { thrownBy } from '../support/recording.js';

const dataSource = new DataSource({ type: 'postgres' });
const query = () => Promise.resolve([]);

/** A manager of another copy of TypeORM. */
const managerOfOtherCopy = (queryRunner?: object) => ({
  '@instanceof': Symbol.for('EntityManager'),
  query,
  queryRunner,
});

describe('resolveRoute()', () => {
  it('returns the pool for a DataSource and its manager, also of another copy of TypeORM', () => {
    const { manager } = dataSource;
    const other = managerOfOtherCopy();

    for (const given of [dataSource, manager])
      expect(resolveRoute(given)).toEqual({ kind: 'pool', executor: manager, session: manager, manager });
    for (const given of [{ query, manager: other }, other])
      expect(resolveRoute(given)).toEqual({ kind: 'pool', executor: other, session: other, manager: other });
  });

  it('returns one session for a query runner and its manager, also of another copy of TypeORM', () => {
    const queryRunner = dataSource.createQueryRunner();
    const { manager } = queryRunner;
    const otherRunner = {};
    const other = managerOfOtherCopy(otherRunner);

    for (const given of [queryRunner, manager])
      expect(resolveRoute(given)).toEqual({
        kind: 'transaction',
        executor: manager,
        session: queryRunner,
        manager,
      });
    expect(resolveRoute(other)).toMatchObject({ kind: 'transaction', session: otherRunner });
  });

  it('returns a foreign route for a proxy, which may use another transaction with each call', () => {
    const { manager } = dataSource.createQueryRunner();
    const proxy = new Proxy(manager, {});

    expect(resolveRoute(proxy)).toMatchObject({ kind: 'foreign', session: undefined });
    expect(resolveRoute(proxy).manager).toBe(proxy);
    expect(resolveRoute(proxy).executor).toBe(proxy);
  });

  it('returns a foreign route for an object of another library', () => {
    const executor = { query };

    expect(resolveRoute(executor)).toEqual({
      kind: 'foreign',
      executor,
      session: undefined,
      manager: undefined,
    });
  });

  it.each([undefined, null, {}, 'select 1', { query: 'select 1' }])('rejects %o', (given: unknown) => {
    expect(thrownBy(() => resolveRoute(given as never))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});
