import type { ClientConfig } from 'pg';
import type { DataSource } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { assertUsable, resolveListenConfig } from '../../../lib/connection/listen-config.js';
import { thrownBy } from '../support/recording.js';

type DataSourceOptions = Parameters<typeof resolveListenConfig>[0];

const resolve = (options: Omit<DataSourceOptions, 'type'>, connection?: string | ClientConfig) =>
  resolveListenConfig({ type: 'postgres', ...options }, connection);

const discrete = { host: 'db', port: 5433, username: 'app', password: 'secret', database: 'shop' };
const url = 'postgres://app:secret@db:5433/shop';
const reached = { host: 'db', port: 5433, user: 'app', password: 'secret', database: 'shop' };

describe('resolveListenConfig()', () => {
  it('returns the address in the fields of the DataSource', () => {
    expect(resolve(discrete)).toEqual({
      ...reached,
      application_name: 'nest:listen',
      connectionTimeoutMillis: 10_000,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
    });
  });

  it('prefers the URL of the DataSource to its fields', () => {
    expect(resolve({ url })).toMatchObject(reached);
    expect(resolve({ ...discrete, host: 'other', url })).toMatchObject(reached);
  });

  it('reads the parameters of the URL', () => {
    expect(resolve({ url: `${url}?sslmode=no-verify&connect_timeout=3` })).toMatchObject({
      ssl: { rejectUnauthorized: false },
      connect_timeout: '3',
    });
  });

  it('passes on a function that returns the password', () => {
    const password = () => Promise.resolve('token');

    expect(resolve({ ...discrete, password }).password).toBe(password);
  });

  it.each([true, { rejectUnauthorized: false }])('passes on the option ssl: %o', (ssl) => {
    expect(resolve({ ...discrete, ssl }).ssl).toEqual(ssl);
  });

  it('returns the address of the primary with replication', () => {
    const replication = { master: { ...discrete, ssl: true }, slaves: [{ host: 'replica' }] };

    expect(resolve({ host: 'ignored', replication })).toMatchObject({ ...reached, ssl: true });
    expect(resolve({ replication: { master: { url }, slaves: [] } })).toMatchObject(reached);
  });

  it('returns no undefined property, which pg would treat as a value', () => {
    const config = resolve({ host: 'db', extra: { options: undefined } });

    expect(Object.entries(config).filter(([, value]) => value === undefined)).toEqual([]);
  });

  it('uses the connection timeout of the DataSource', () => {
    expect(resolve({ connectTimeoutMS: 500 }).connectionTimeoutMillis).toBe(500);
    expect(resolve({ extra: { connectionTimeoutMillis: 600 } }).connectionTimeoutMillis).toBe(600);
  });
});

describe('the setting "extra" of the DataSource', () => {
  it('applies to the LISTEN connection and overrides other settings', () => {
    const extra = { options: '-c search_path=app', host: 'direct' };

    expect(resolve({ ...discrete, extra })).toMatchObject({ ...reached, ...extra });
  });

  it('does not apply where it concerns a pool or limits single queries', () => {
    const poolOnly = {
      max: 20,
      min: 1,
      idleTimeoutMillis: 1,
      allowExitOnIdle: true,
      maxUses: 1,
      maxLifetimeSeconds: 1,
      onConnect: () => undefined,
      Client: class {},
      log: () => undefined,
      pipeline: true,
      query_timeout: 1,
      statement_timeout: 1,
      idle_in_transaction_session_timeout: 1,
    };

    expect(Object.keys(resolve({ extra: poolOnly }))).not.toEqual(
      expect.arrayContaining([expect.stringMatching(new RegExp(`^(${Object.keys(poolOnly).join('|')})$`))]),
    );
  });

  it('is not modified', () => {
    const extra = { max: 20 };
    resolve({ extra });

    expect(extra).toEqual({ max: 20 });
  });
});

describe('the option "connection"', () => {
  it('replaces all settings when it is a URL', () => {
    const config = resolve(
      { ...discrete, ssl: true, extra: { options: '-c x=y' } },
      'postgres://listener@direct/shop2',
    );

    expect(config).toMatchObject({ host: 'direct', user: 'listener', database: 'shop2', password: '' });
    expect(config).not.toHaveProperty('ssl');
    expect(config).not.toHaveProperty('port');
    expect(config).not.toHaveProperty('options');
  });

  it('keeps the application name and the timeout when it is a URL', () => {
    expect(
      resolve({ applicationName: 'shop', connectTimeoutMS: 500 }, 'postgres://direct/shop'),
    ).toMatchObject({
      application_name: 'shop:listen',
      connectionTimeoutMillis: 500,
      keepAlive: true,
    });
  });

  it('replaces the named settings when it is an object', () => {
    expect(resolve(discrete, { host: 'direct', port: 6432 })).toMatchObject({
      ...reached,
      host: 'direct',
      port: 6432,
    });
  });

  it('replaces the settings in its connectionString, which its own fields override', () => {
    const connection = { connectionString: 'postgres://listener:pw@direct/shop2', database: 'shop3' };
    const config = resolve({ ...discrete, ssl: true }, connection);

    expect(config).toMatchObject({
      host: 'direct',
      user: 'listener',
      password: 'pw',
      database: 'shop3',
      ssl: true,
    });
    expect(config).not.toHaveProperty('connectionString');
  });

  it('replaces nothing with undefined fields', () => {
    expect(resolve(discrete, { host: undefined, password: undefined })).toMatchObject(reached);
  });

  it.each([
    ['a URL', 'postgres://direct/shop?application_name=ears'],
    ['an object', { application_name: 'ears' }],
  ])('can set the application name: %s', (_what, connection) => {
    expect(resolve({ applicationName: 'shop' }, connection).application_name).toBe('ears');
  });
});

describe('the application_name', () => {
  const maxBytes = 63; // PostgreSQL truncates longer names with a notice

  it.each([
    ['applicationName', { applicationName: 'shop' }],
    ['the URL', { url: `${url}?application_name=shop` }],
    ['extra', { extra: { application_name: 'shop' } }],
    ['the primary', { replication: { master: { applicationName: 'shop' }, slaves: [] } }],
  ])('is that of the DataSource followed by ":listen", from %s', (_where, options) => {
    expect(resolve(options).application_name).toBe('shop:listen');
  });

  it.each([
    ['applicationName', { applicationName: 'x'.repeat(80) }],
    ['the URL', { url: `${url}?application_name=${'x'.repeat(80)}` }],
    ['extra', { extra: { application_name: 'x'.repeat(80) } }],
    ['characters of two bytes', { applicationName: 'é'.repeat(40) }],
  ])('has at most 63 bytes, from %s', (_where, options) => {
    const name = resolve(options).application_name ?? '';

    expect(name).toMatch(/^[xé]{20}/);
    expect(Buffer.byteLength(name)).toBeLessThanOrEqual(maxBytes);
  });

  it('keeps ":listen" when it is shortened', () => {
    expect(resolve({ applicationName: 'x'.repeat(63) }).application_name).toMatch(/^x+:listen$/);
  });
});

describe('assertUsable()', () => {
  const dataSource = (type: string, isInitialized: boolean) =>
    ({ options: { type, host: 'db' }, isInitialized }) as unknown as DataSource;

  it('returns the options of an initialized DataSource of PostgreSQL', () => {
    expect(assertUsable(dataSource('postgres', true))).toEqual({ type: 'postgres', host: 'db' });
  });

  it.each([
    ['a DataSource of another database', dataSource('mysql', true), 'of type "postgres", got "mysql"'],
    ['a DataSource that is not initialized', dataSource('postgres', false), 'an initialized DataSource'],
  ])('rejects %s', (_what, given, expected) => {
    expect(thrownBy(() => assertUsable(given))).toMatchObject({
      code: 'DATA_SOURCE_UNUSABLE',
      message: expect.stringContaining(expected) as string,
    });
  });
});
