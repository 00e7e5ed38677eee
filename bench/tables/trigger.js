// @ts-check
import { createNotifyTrigger } from 'nestjs-pgpubsub';
import { DataSource } from 'typeorm';
import { assert, measure } from '../measure.js';

/** Many rows in one statement, with a trigger that notifies each of them. */
export default {
  title: 'insert of many rows in one statement, milliseconds (lower is better)',
  /** @param {{ url: string, rounds: number, quick: boolean }} options */
  async run({ url, rounds, quick }) {
    const count = quick ? 20_000 : 100_000;
    const dataSource = await new DataSource({ type: 'postgres', url }).initialize();
    for (const table of ['minimal', 'bare', 'ours_row', 'ours_statement']) {
      await dataSource.query(`create table bench_${table} (id bigint generated always as identity primary key,
        name text not null, email text not null, active boolean not null, created_at timestamptz not null)`);
    }
    await dataSource.query(`create function bench_minimal() returns trigger language plpgsql as $$
      begin perform pg_notify('bench_minimal', row_to_json(NEW)::text); return null; end $$`);
    await dataSource.query(
      `create trigger minimal after insert on bench_minimal for each row execute function bench_minimal()`,
    );
    const runner = dataSource.createQueryRunner();
    await createNotifyTrigger(runner, { table: 'bench_ours_row', primaryKey: ['id'] });
    await createNotifyTrigger(runner, {
      table: 'bench_ours_statement',
      level: 'statement',
      primaryKey: ['id'],
    });
    await runner.release();

    /** @param {string} name @param {string} table */
    const variant = (name, table) => ({
      name,
      run: async () => {
        const began = performance.now();
        await dataSource.query(
          `insert into ${table} (name, email, active, created_at)
           select 'Author ' || i, 'author' || i || '@example.com', i % 2 = 0, now() from generate_series(1, $1::int) as i`,
          [count],
        );
        const elapsed = performance.now() - began;
        const [{ rows }] = await dataSource.query(`select count(*)::int as rows from ${table}`);
        await dataSource.query(`truncate ${table}`);
        assert(rows === count, `${rows} of ${count} rows`);
        return elapsed;
      },
    });
    const result = await measure(
      [
        variant('minimal trigger by hand: pg_notify(row_to_json(NEW))', 'bench_minimal'),
        variant("nestjs-pgpubsub, level 'row'", 'bench_ours_row'),
        variant("nestjs-pgpubsub, level 'statement'", 'bench_ours_statement'),
        variant('no trigger', 'bench_bare'),
      ],
      rounds,
    );
    await dataSource.destroy();
    return result;
  },
};
