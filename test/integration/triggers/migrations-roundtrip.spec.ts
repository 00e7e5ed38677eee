import type { Client } from 'pg';
import { EntitySchema, type DataSource, type EntitySchemaColumnOptions } from 'typeorm';
import { describe, expect, it } from 'vitest';
import type { NotifyChangesOptions } from 'nestjs-pgpubsub';
import { listen, type Sent } from '../../support/sent.js';
import { NOTHING, generate, run, useStorage } from '../../support/storage.js';

const { client, connect, query, snapshot } = useStorage();

/** A table with types that have no operator for equality, and the triggers declared on it. */
interface Declared {
  readonly columns: Readonly<Record<string, EntitySchemaColumnOptions>>;
  readonly triggers: Readonly<Record<'all' | 'some' | 'stored', NotifyChangesOptions & { channel: string }>>;
}

const BEFORE: Declared = {
  columns: {
    id: { type: 'int', primary: true, generated: true },
    amount: { type: 'int', default: 20 },
    status: { type: 'enum', enum: ['open', 'paid', 'lost'] },
    note: { type: 'varchar', length: 10, nullable: true },
    secret: { type: 'text', nullable: true },
    settings: { type: 'json', nullable: true },
    place: { type: 'point', nullable: true },
    feed: { type: 'xml', nullable: true },
  },
  triggers: {
    all: { channel: 'orders' },
    some: { channel: 'public_orders', exclude: ['secret'] },
    stored: {
      channel: 'large_orders',
      delivery: 'exactly-once',
      ordered: true,
      of: ['status', 'place', 'amount'],
      when: `coalesce(NEW.amount, OLD.amount) > 10 and coalesce(NEW.status, OLD.status) <> 'paid'`,
    },
  },
};

const column = (name: string, options: Partial<EntitySchemaColumnOptions>): Declared => ({
  ...BEFORE,
  columns: {
    ...BEFORE.columns,
    [name]: { ...BEFORE.columns[name], ...options } as EntitySchemaColumnOptions,
  },
});
const declaration = (
  name: keyof Declared['triggers'],
  options: NotifyChangesOptions & { channel?: string },
): Declared => ({
  ...BEFORE,
  triggers: { ...BEFORE.triggers, [name]: { ...BEFORE.triggers[name], ...options } },
});
const without = (...names: readonly string[]): Declared => ({
  ...BEFORE,
  columns: Object.fromEntries(Object.entries(BEFORE.columns).filter(([name]) => !names.includes(name))),
});
const perStatement = (declared: Declared): Declared => ({
  ...declared,
  triggers: Object.fromEntries(
    Object.entries(declared.triggers).map(([name, options]) => [name, { ...options, level: 'statement' }]),
  ) as Declared['triggers'],
});

const RENAMED: Declared = {
  columns: column('amount', { name: 'total' }).columns,
  triggers: {
    ...BEFORE.triggers,
    stored: {
      ...BEFORE.triggers.stored,
      when: `coalesce(NEW.total, OLD.total) > 10 and coalesce(NEW.status, OLD.status) <> 'paid'`,
    },
  },
};

const CHANGES: [string, Declared][] = [
  ['the type of a column that "when" names', column('amount', { type: 'bigint' })],
  ['the length of a column', column('note', { length: 20 })],
  ['the type of a column in the notifications', { ...BEFORE, columns: { ...BEFORE.columns, note: { type: 'text', nullable: true } } }],
  ['a default and NOT NULL', column('note', { default: 'none', nullable: false })],
  ['an added value of an enum that "when" names', column('status', { enum: ['open', 'paid', 'lost', 'sent'] })],
  ['a removed value of an enum that "when" names', column('status', { enum: ['open', 'paid'] })],
  ['a new column', column('added', { type: 'xml', nullable: true })],
  ['a renamed column', RENAMED],
  ['a dropped column', without('note')],
  ['dropped columns of other types', without('settings', 'feed', 'note')],
  ['the channel', declaration('stored', { channel: 'other_orders' })],
  ['the delivery', declaration('some', { delivery: 'exactly-once' })],
  ['the delivery back', declaration('stored', { delivery: 'broadcast', ordered: false })],
  ['the level', perStatement(BEFORE)],
  ['the order', declaration('stored', { ordered: false, wake: 'poll' })],
  ['the columns', declaration('some', { exclude: ['secret', 'note', 'amount'] })],
  ['"of"', declaration('stored', { of: ['settings', 'feed'] })],
  ['"when", with a subquery', declaration('stored', { when: `(select coalesce(NEW.amount, OLD.amount) > 10)` })],
]; // prettier-ignore

const connected = ({ columns, triggers }: Declared): Promise<DataSource> => {
  const Order = new EntitySchema({ name: 'Order', tableName: 'orders', columns });
  const declared = Object.values(triggers).map((options) => ({ entity: Order, ...options }));
  return connect({ dataSource: { entities: [Order] }, triggers: declared });
};

/** Runs statements without a transaction, like `migration:run --transaction none`. */
async function runSingly(statements: readonly string[]): Promise<void> {
  for (const statement of statements) await query(statement);
}

/** The catalog, with the values of enums. */
const catalog = async () => ({
  ...(await snapshot()),
  enums: await query(`select t.typname, e.enumlabel from pg_enum e join pg_type t on t.oid = e.enumtypid order by 1, e.enumsortorder`),
}); // prettier-ignore

/** Expects one notification on each declared channel for each write of the session. */
async function expectNotified(session: Client, { triggers }: Declared): Promise<void> {
  const broadcasts = Object.values(triggers).filter(({ delivery }) => delivery !== 'exactly-once');
  const stored = Object.values(triggers).filter(({ delivery }) => delivery === 'exactly-once');
  const heard = await Promise.all(broadcasts.map(({ channel }) => listen({ client } as never, channel)));
  await session.query('delete from pgpubsub_notification');
  await write(session);
  const arrived: [unknown, Sent[]][] = [];
  for (const [index, { channel }] of broadcasts.entries())
    arrived.push([channel, (await heard[index]?.end()) ?? []]);
  const rows = await query<{ channel: string; payload: Sent }>(
    'select channel, payload from pgpubsub_notification order by id',
  );
  for (const { channel } of stored)
    arrived.push([channel, rows.filter((row) => row.channel === channel).map(({ payload }) => payload)]);
  for (const [channel, sent] of arrived) {
    expect([channel, ...sent.map(({ operation }) => operation)]).toEqual([
      channel,
      'insert',
      'update',
      'delete',
    ]);
    expect(sent.flatMap(({ old, new: row }) => Object.keys({ ...old, ...row }).includes('secret'))).toEqual(
      sent.map(() => channel !== 'public_orders'),
    );
  }
}

/** Leaves no row; the second update changes nothing. */
async function write(session: Client): Promise<void> {
  const { rows } = await session.query<{ name: string }>(
    `select column_name as name from information_schema.columns where table_name = 'orders'`,
  );
  const set = (values: Record<string, string>) => Object.entries(values).filter(([name]) => rows.some((row) => row.name === name));
  const first = set({ status: 'open', settings: '{"a":1}', place: '(1,2)', feed: '<a/>' });
  const second = set({ settings: '{"a": 1}', place: '(3,4)', feed: '<b/>' });
  await session.query(
    `insert into orders (${first.map(([name]) => name).join(', ')}) values (${first.map(([, value]) => `'${value}'`).join(', ')})`,
  );
  for (let time = 0; time < 2; time++)
    await session.query(`update orders set ${second.map(([name, value]) => `${name} = '${value}'`).join(', ')}`);
  await session.query('delete from orders');
} // prettier-ignore

describe('a migration up, down and up again restores the catalog, and open sessions notify every write:', () => {
  const KINDS: [string, Declared, Declared][] = CHANGES.flatMap(([name, after]) => [
    [`${name}, per row`, BEFORE, after],
    [`${name}, per statement`, perStatement(BEFORE), name === 'the level' ? BEFORE : perStatement(after)],
  ]);

  it.each(KINDS)('%s', async (_, before, after) => {
    const first = await connected(before);
    await run(first, (await generate(first)).up);
    const session = await client();
    for (let time = 0; time < 6; time++) await write(session); // plans are generic from the sixth time on
    await expectNotified(session, before);
    const old = await catalog();

    const source = await connected(after);
    const { up, down } = await generate(source);
    await run(source, up);
    expect(await generate(source)).toEqual(NOTHING);
    const changed = await catalog();
    await expectNotified(session, after);

    await run(source, down);
    expect(await catalog()).toEqual(old);
    expect(await generate(first)).toEqual(NOTHING);
    await expectNotified(session, before);

    await runSingly(up);
    expect(await catalog()).toEqual(changed);
    await expectNotified(session, after);
    await runSingly(down);
    expect(await catalog()).toEqual(old);
    await expectNotified(session, before);
  });
});
