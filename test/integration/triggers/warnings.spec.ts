import { Column, DataSource, Entity, PrimaryColumn } from 'typeorm';
import { beforeEach, describe, expect, inject, it } from 'vitest';
import { NotifyChanges, withPgPubSub, type EntityChange, type TriggerDeclaration } from 'nestjs-pgpubsub';
import { Database } from '../../../lib/triggers/database.js';
import { createNotifyTrigger } from '../../../lib/triggers/migration-helpers.js';
import { findWarnings } from '../../../lib/triggers/trigger.warnings.js';
import { Mailbox } from '../../support/mailbox.js';
import { errorOf, generate, run } from '../../support/migrations.js';
import { useDatabase } from '../../support/use-database.js';

const database = useDatabase({ per: 'test' });

const connect = (...triggers: TriggerDeclaration[]): Promise<DataSource> => database.connect({ triggers });

/** Creates the declared triggers. */
async function migrate(...triggers: TriggerDeclaration[]): Promise<DataSource> {
  const source = await connect(...triggers);
  await run(source, (await generate(source)).up);
  return source;
}

const warningsOf = async (source: DataSource) => (await Database.of(source).diff()).warnings;
const itWithVirtualColumns = it.skipIf(inject('serverVersion') < 180_000);

const NOTE = 'create function note() returns trigger language plpgsql as $$ begin return null; end $$';
const EVENT = `
  create table event (id int, kind text, region text, constraint pk primary key (id, kind, region)) partition by list (kind, lower(region))`;
const PARTITIONS = `
  create table event (id int, kind text) partition by list (kind);
  create table event_a partition of event for values in ('a');
  create table event_b partition of event for values in ('b', 'c') partition by list (kind);
  create table "event B1" partition of event_b for values in ('b')`;

describe('the warning about a trigger that is disabled on a partition', () => {
  it('contains the statement that enables it', async () => {
    await database.query(PARTITIONS);
    const source = await migrate({ table: 'event', on: ['insert', 'delete'] });
    expect(await warningsOf(source)).toEqual([]);

    await database.query(`alter table event_a disable trigger _pgpubsub_event_insert;
      alter table "event B1" enable replica trigger _pgpubsub_event_delete;
      alter table event_a enable always trigger _pgpubsub_event_delete`);
    const warnings = await warningsOf(source);
    expect(warnings).toEqual([
      'The trigger "_pgpubsub_event_delete" fires for replicated changes only on public.event B1, a partition of public.event: ' +
        'other changes of its rows are not notified. Enable it: alter table "public"."event B1" enable trigger "_pgpubsub_event_delete";',
      'The trigger "_pgpubsub_event_insert" is disabled on public.event_a, a partition of public.event: ' +
        'changes of its rows are not notified. Enable it: alter table "public"."event_a" enable trigger "_pgpubsub_event_insert";',
    ]);
    expect((await Database.of(source).diff()).differences).toEqual([]);

    for (const warning of warnings) await database.query(/: (alter .*;)$/.exec(warning)?.[1] ?? '');
    expect(await warningsOf(source)).toEqual([]);
  });
});

describe('the warning about a table that inherits from a declared one', () => {
  beforeEach(() =>
    database.query(`create table base (id int primary key); create table child () inherits (base);
      create schema other; create table other.grandchild () inherits (child)`),
  );

  it('contains its declaration, and disappears with it', async () => {
    const source = await migrate({ table: 'base' });
    const warningFor = (table: string, declaration: string) =>
      `Changes of the table ${table}, which inherits from public.base, are not notified: triggers are not inherited. ` +
      `Declare it, too: withPgPubSub(dataSource, { triggers: [${declaration}] }).`;
    const grandchild = warningFor('other.grandchild', `{ schema: 'other', table: 'grandchild' }`);
    expect(await warningsOf(source)).toEqual([
      grandchild,
      warningFor('public.child', `{ schema: 'public', table: 'child' }`),
    ]);
    expect(await warningsOf(await migrate({ table: 'base' }, { table: 'child' }))).toContain(grandchild);
    expect(
      await warningsOf(
        await migrate({ table: 'base' }, { table: 'child' }, { schema: 'other', table: 'grandchild' }),
      ),
    ).toEqual([]);
  });

  it('mentions statements on the declared table for statement triggers', async () => {
    const [warning] = await warningsOf(await migrate({ table: 'base', level: 'statement' }));
    expect(warning).toContain('are notified only when an UPDATE or DELETE names public.base: triggers');
  });
});

describe('an update that moves a row to another partition', () => {
  beforeEach(() => database.query(PARTITIONS));

  it.each<[TriggerDeclaration['on'], string]>([
    [['insert', 'update', 'delete'], 'is notified as a delete and an insert. Let the listeners expect both.'],
    [['insert', 'update'], `is notified as an insert. Declare all of insert, update and delete.`],
    [['update', 'delete'], `is notified as a delete. Declare all of insert, update and delete.`],
    [['update'], 'is not notified. Declare all of insert, update and delete.'],
  ])('causes a warning for %j', async (on, meaning) => {
    const source = await migrate({ table: 'event', channel: 'events', ...(on && { on }) });
    expect(await warningsOf(source)).toEqual([
      `An update of "kind" that moves a row of public.event to another partition ${meaning.replace(/^is( not)? notified/, '$& on channel "events"')}`,
    ]);
  });

  it('causes a warning once per channel, with every column of the key, and none without updates', async () => {
    await database.query(`drop table event; ${EVENT.replace(', constraint pk primary key (id, kind, region)', '').replace('list', 'range')}`);
    const source = await migrate({ table: 'event' }, { table: 'event', channel: 'all' });
    expect((await warningsOf(source)).map((text) => text.slice(0, 60))).toEqual(
      Array.from({ length: 2 }, () => 'An update of "kind", an expression that moves a row of publi'),
    );
    await database.query('drop table event cascade');
    await database.query(PARTITIONS.replaceAll('event', 'log'));
    expect(await warningsOf(await migrate({ table: 'log', on: ['insert', 'delete'] }))).toEqual([]);
  }); // prettier-ignore

  it('is notified as the warning says', async () => {
    await using app = await database.start({
      patch: () => database.declare({ triggers: [{ table: 'event' }] }),
      options: { synchronize: true },
    });
    const changes = new Mailbox<EntityChange>();
    app.pubsub.observe<EntityChange>('event').subscribe(({ payload }) => changes.push(payload));
    await app.pubsub.status(); // resolves when it is connected
    await database.query(`insert into event values (1, 'a')`);
    await changes.find(({ operation }) => operation === 'insert');
    await database.query(`update event set kind = 'b'; delete from event`);
    await changes.find(({ operation, old }) => operation === 'delete' && old?.['kind'] === 'b');
    expect(changes.all.map(({ operation, entity }) => [operation, entity?.['kind']])).toEqual([
      ['insert', 'a'], ['delete', 'a'], ['insert', 'b'], ['delete', 'b'],
    ]);
  }); // prettier-ignore
});

describe('a trigger that fires before those of this library', () => {
  it('causes one warning, on tables and partitions, when it may change the row again', async () => {
    await database.query(`${PARTITIONS}; ${NOTE}`);
    const source = await migrate({ table: 'event', on: ['insert', 'delete'] }, { table: 'event_a' });
    await database.query(`
      create trigger "0root" after insert or delete on event for each row execute function note();
      create trigger "Apart" after delete on "event B1" for each row execute function note();
      create trigger "0update" after update on event for each row execute function note();
      create trigger "0statement" after insert on event for each statement execute function note();
      create trigger zlater after insert on event for each row execute function note();
      create trigger "0off" after insert on event_b for each row execute function note();
      alter table event_b disable trigger "0off"`);
    const [first, second, ...others] = await warningsOf(source);
    expect(first).toBe(
      'The trigger "0root" on public.event fires before those of this library: where it changes the row again, that change is ' +
        'notified before the one that fired it. Rename it to sort behind "_pgpubsub_": alter trigger "0root" on "public"."event" rename to "z_0root";',
    );
    expect(second).toContain('The trigger "Apart" on public.event B1 fires before');
    expect(others).toEqual([]);
    for (const warning of [first, second]) await database.query(/: (alter .*;)$/.exec(warning ?? '')?.[1] ?? '');
    expect(await warningsOf(source)).toEqual([]);
  }); // prettier-ignore

  it('causes no warning when it is deferred', async () => {
    await database.query(`create table base (id int primary key); ${NOTE}`);
    const source = await migrate({ table: 'base' });
    await database.query(`
      create constraint trigger "0deferred" after delete on base deferrable initially deferred for each row execute function note();
      create table referring (id int references base on delete cascade)`);
    expect(await warningsOf(source)).toEqual([]);
    await database.query(
      'create constraint trigger "0soon" after delete on base deferrable for each row execute function note()',
    );
    expect(await warningsOf(source)).toEqual([expect.stringContaining('"0soon"')]);
  });
});

describe('a virtual generated column', () => {
  const TABLE =
    'create table item (id int primary key, a int, total int generated always as (a * 2) virtual, "Sum" int generated always as (a + 1) virtual)';

  itWithVirtualColumns('causes a warning when notifications contain it', async () => {
    await database.query(TABLE);
    const warning = (columns: string) =>
      `Notifications of public.item on channel "item" lack the value of ${columns}: PostgreSQL does not compute virtual generated ` +
      'columns for triggers. Make them STORED, or leave them out.';
    expect(await warningsOf(await migrate({ table: 'item' }))).toEqual([warning('"total", "Sum"')]);
    expect(await warningsOf(await migrate({ table: 'item', columns: ['id', 'Sum'] }))).toEqual([
      warning('"Sum"'),
    ]);
    const silent: TriggerDeclaration[] = [
      { table: 'item', exclude: ['total', 'Sum'] },
      { table: 'item', columns: ['id'] },
      { table: 'item', on: 'truncate' },
    ];
    for (const declaration of silent) expect(await warningsOf(await migrate(declaration))).toEqual([]);
  });

  itWithVirtualColumns('is evaluated by "of" and "when" of row triggers', async () => {
    await database.query(TABLE);
    const columns = ['id', 'a'];
    const source = await migrate(
      { table: 'item', columns, channel: 'plain', on: 'update', of: ['total'], when: 'NEW.total > 4' },
      { table: 'item', columns, channel: 'query', on: 'insert', when: '(select NEW.total) > 4' },
    );
    expect(await warningsOf(source)).toEqual([]);
    const client = await database.client();
    const heard: string[] = [];
    client.on('notification', ({ channel }) => heard.push(channel));
    await client.query('listen plain; listen query');
    await client.query(
      'insert into item values (1, 1), (2, 3); update item set a = 2; update item set a = 5',
    );
    expect(heard).toEqual(['query', 'plain', 'plain']);
    await client.end();
  });

  itWithVirtualColumns.each<[Partial<TriggerDeclaration>, string, string]>([
    [{ of: ['total'] }, '"of"', 'total'],
    [{ when: 'NEW.total > 4' }, '"when"', 'total'],
    [{ when: 'coalesce((new)."Sum", 0) > (select 1)' }, '"when"', 'Sum'],
  ])('is rejected in %j at level "statement"', async (options, option, column) => {
    await database.query(TABLE);
    const refusal = (what: string) =>
      `INVALID_TRIGGER: ${what}: expected ${option} without virtual generated columns at level "statement", got "${column}": ` +
      'PostgreSQL does not compute them there. Leave "level" out, or make the column STORED.';
    const source = await connect({ table: 'item', level: 'statement', ...options });
    expect(await errorOf(() => generate(source))).toBe(refusal('the table "item"'));
    expect(await errorOf(() => source.synchronize())).toBe(refusal('the table "item"'));
    const runner = source.createQueryRunner();
    const byHand = () => createNotifyTrigger(runner, { table: 'item', level: 'statement', ...(options as object) });
    expect(await errorOf(byHand)).toBe(refusal('createNotifyTrigger()'));
    await runner.release();
  }); // prettier-ignore

  itWithVirtualColumns('can have a name that other texts of a condition contain', async () => {
    await database.query(TABLE);
    const source = await connect({
      table: 'item', level: 'statement', when: `NEW.a > 4 /* NEW.total */ and 'NEW.total' <> 'total'`, columns: ['id'],
    }); // prettier-ignore
    expect(await errorOf(() => generate(source))).toBe('no error');
  });
});

describe('the search for warnings', () => {
  it('does not wait for locks on tables', async () => {
    await database.query(PARTITIONS);
    const source = await migrate({ table: 'event' });
    const client = await database.client();
    await client.query('begin; lock table event, event_a, event_b in access exclusive mode');
    const runner = source.createQueryRunner();
    await runner.query(`set lock_timeout = '1s'`);
    const { triggers } = Database.of(source);
    expect(await findWarnings(runner, triggers, () => undefined)).toHaveLength(1);
    await runner.release();
    await client.end();
  });
});

describe('the start of an application', () => {
  @Entity()
  @NotifyChanges({ on: 'insert' })
  class Author {
    @PrimaryColumn('int') id!: number;
    @Column('text') name!: string;
  }
  const start = (options: object) =>
    database.start({
      dataSource: { entities: [Author], synchronize: true },
      patch: withPgPubSub,
      options,
    });
  const isWarning = ({ level }: { level: string }) => level === 'warn'; // prettier-ignore

  it('logs each warning, and continues', async () => {
    await (await start({})).close();
    await database.query(`${NOTE}; create table child () inherits (author);
      create trigger "Audit" after insert on author for each row execute function note()`);
    for (const options of [{}, { verifySchema: 'warn' }, { synchronize: true }]) {
      await using app = await start(options);
      expect(app.log.all.filter(isWarning).map(({ text }) => text.slice(0, 60))).toEqual([
        'The trigger "Audit" on public.author fires before those of t',
        'Changes of the table public.child, which inherits from publi',
      ]);
    }
    await using app = await start({ verifySchema: false });
    expect(app.log.all.filter(isWarning)).toEqual([]);
  });
});
