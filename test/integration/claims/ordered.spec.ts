import { Injectable } from '@nestjs/common';
import {
  Listener,
  NotifyChanges,
  OnChange,
  OnInsert,
  defineChannel,
  withPgPubSub,
  type EntityChange,
  type Notification,
} from 'nestjs-pgpubsub';
import { Column, Entity, PrimaryColumn } from 'typeorm';
import { afterEach, expect, it, vi } from 'vitest';
import { Mailbox, eventually } from '../../support/mailbox.js';
import { Effect, range, recordStatements, useStored } from '../../support/stored.js';

const { start, query, database, deadLetters, settled, effects } = useStored();
afterEach(() => {
  vi.restoreAllMocks();
  return query('truncate pgpubsub_notification, pgpubsub_dead_letter, effect');
});

interface Step {
  readonly key: string;
  readonly step: number;
}
const Keyed = defineChannel<Step>('keyed', { delivery: 'exactly-once', ordered: true });

const write = ({ manager }: Notification, what: string) =>
  manager.query('insert into effect (what) values ($1)', [what]);

it('several processes handle each key in order, one row after the other', async () => {
  const running = new Set<string>();
  const overlaps: string[] = [];
  @Injectable()
  class Handler {
    @Listener(Keyed)
    async receive({ key, step }: Step, notification: Notification) {
      if (running.has(key)) overlaps.push(`${key} ${step}`);
      running.add(key);
      await notification.manager.query('select pg_sleep(random() * 0.004)');
      await write(notification, `${key} ${step}`);
      running.delete(key);
    }
  }
  const apps = await Promise.all(range(3).map(() => start({ providers: [Handler] })));
  try {
    const steps = range(15).flatMap((step) => range(10).map((key) => ({ key: `k${key}`, step })));
    for (const [index, step] of steps.entries())
      await apps[index % 3]?.pubsub.notify(Keyed, step, { key: step.key });
    await settled(Keyed);
    for (const key of range(10))
      expect(await effects(`k${key} `)).toEqual(range(15).map((step) => `k${key} ${step}`));
    expect(overlaps).toEqual([]);
  } finally {
    await Promise.all(apps.map((app) => app.close()));
  }
});

it('a failed row delays the rows of its key, and no others', async () => {
  const seen: string[] = [];
  let failures = 0;
  @Injectable()
  class Handler {
    @Listener(Keyed, { retry: { minDelayMs: 200, maxDelayMs: 200 } })
    receive({ key, step }: Step) {
      if (key === 'a' && step === 1 && failures++ < 3) throw new Error('not yet');
      seen.push(`${key} ${step}`);
    }
  }
  await using app = await start({ providers: [Handler] });
  await app.dataSource.transaction(async (manager) => {
    for (const step of range(3))
      for (const key of ['a', 'b', 'c']) await app.pubsub.notify(Keyed, { key, step }, { key, manager });
  });
  await settled(Keyed);
  expect(failures).toBe(4);
  expect(seen.slice(-3)).toEqual(['a 1', 'a 2', 'a 3']);
  expect(seen.filter((what) => what.startsWith('b'))).toEqual(['b 1', 'b 2', 'b 3']);
});

it('a key continues when its first row has become a dead letter', async () => {
  const seen: number[] = [];
  @Injectable()
  class Handler {
    @Listener(Keyed, { retry: { maxAttempts: 2 } })
    receive({ step }: Step) {
      if (step === 1) throw new Error('never');
      seen.push(step);
    }
  }
  await using app = await start({ providers: [Handler] });
  for (const step of range(3)) await app.pubsub.notify(Keyed, { key: 'a', step }, { key: 'a' });
  await settled(Keyed);
  expect(seen).toEqual([2, 3]);
  expect(await deadLetters(Keyed)).toHaveLength(1);
});

it('rows without a key do not wait for each other', async () => {
  const started = new Mailbox<number>();
  const releases: (() => void)[] = [];
  @Injectable()
  class Handler {
    @Listener(Keyed)
    async receive({ step }: Step) {
      started.push(step);
      if (step === 1) await new Promise<void>((resolve) => releases.push(resolve));
    }
  }
  const apps = [await start({ providers: [Handler] }), await start({ providers: [Handler] })];
  try {
    await apps[0]?.pubsub.notify(Keyed, { key: '', step: 1 });
    await started.next();
    await apps[0]?.pubsub.notifyMany(Keyed, [{ key: '', step: 2 }, { key: '', step: 3 }]); // prettier-ignore
    await started.take(2);
    releases[0]?.();
    await settled(Keyed);
    expect(new Set(started.all)).toEqual(new Set([1, 2, 3]));
    expect(started.all).toHaveLength(3);
  } finally {
    await Promise.all(apps.map((app) => app.close()));
  }
});

it('a row that commits late does not run in parallel with a newer one of its key', async () => {
  const started = new Mailbox<string>();
  const releases: (() => void)[] = [];
  @Injectable()
  class Handler {
    @Listener(Keyed)
    async receive({ key, step }: Step, { manager }: Notification) {
      await manager.query('select 1');
      started.push(`${key} ${step}`);
      if (key === 'a') await new Promise<void>((resolve) => releases.push(resolve));
    }
  }
  const apps = [await start({ providers: [Handler] }), await start({ providers: [Handler] })];
  try {
    const late = await database.client();
    await late.query('begin');
    await late.query(`select pgpubsub_notify('keyed', '{"key":"a","step":1}', 'a')`);
    await apps[0]?.pubsub.notify(Keyed, { key: 'a', step: 2 }, { key: 'a' });
    expect(await started.next()).toBe('a 2');
    await late.query('commit');
    for (const step of range(3)) {
      await apps[0]?.pubsub.notify(Keyed, { key: 'mark', step }, { key: 'mark' });
      expect(await started.next()).toBe(`mark ${step}`); // after the hint of the late row
    }
    expect(started.all).not.toContain('a 1');
    releases[0]?.();
    expect(await started.next()).toBe('a 1');
    releases[1]?.();
    await settled(Keyed);
  } finally {
    await Promise.all(apps.map((app) => app.close()));
  }
});

it('a claim checks again for a row whose key was locked when the row was found', async () => {
  const started = new Mailbox<number>();
  @Injectable()
  class Handler {
    @Listener(Keyed)
    receive({ step }: Step) {
      started.push(step);
    }
  }
  await using app = await start({ providers: [Handler] });
  await app.pubsub.recover();
  const other = await database.client(); // locks the key, and does not claim
  await other.query('begin');
  await other.query("select pg_advisory_xact_lock(hashtextextended('pgpubsub keyed a', 0))");
  await app.pubsub.notify(Keyed, { key: 'a', step: 1 }, { key: 'a' });
  const sent = recordStatements();
  const claims = () => sent.filter(({ text }) => text.includes('skip locked')).length;
  await eventually(() => claims() > 2, 'it has looked again');
  expect(started.all).toEqual([]);
  await other.query('commit');
  expect(await started.next()).toBe(1);
});

@Entity()
@NotifyChanges({ delivery: 'exactly-once', ordered: true })
class Author {
  @PrimaryColumn('int') id!: number;
  @Column('text') name!: string;
}

it('the changes of a row arrive in their order, as entities', async () => {
  const seen = new Mailbox<string>();
  @Injectable()
  class Authors {
    @OnInsert(Author)
    async created({ new: author }: EntityChange<Author>, { manager }: Notification) {
      expect(author).toBeInstanceOf(Author);
      await manager.insert(Effect, { what: `first post of ${author?.name}` });
    }
    @OnChange(Author, { name: 'feed' })
    async changed({ operation, entity }: EntityChange<Author>, { manager }: Notification) {
      await manager.query('select pg_sleep(random() * 0.003)');
      seen.push(`${entity?.id} ${operation} ${entity?.name}`);
    }
  }
  const options = {
    providers: [Authors],
    dataSource: { entities: [Author, Effect], synchronize: true },
    patch: withPgPubSub,
  };
  await using app = await start(options);
  await using _other = await start(options);
  const authors = app.dataSource.getRepository(Author);
  const ids = range(5);
  await authors.insert(ids.map((id) => ({ id, name: `n${id}` })));
  for (const round of range(4)) for (const id of ids) await authors.update(id, { name: `n${id}.${round}` });
  for (const id of ids) await authors.delete(id);
  const channel = defineChannel('author', { delivery: 'exactly-once' });
  await settled(channel);
  expect(await deadLetters(channel)).toEqual([]);
  for (const id of ids) {
    expect(seen.all.filter((what) => what.startsWith(`${id} `))).toEqual([
      `${id} insert n${id}`,
      ...range(4).map((round) => `${id} update n${id}.${round}`),
      `${id} delete n${id}.4`,
    ]);
  }
  expect((await effects()).toSorted()).toEqual(ids.map((id) => `first post of n${id}`));
});

it('a transaction that rolls back stores nothing, and a statement stores each of its rows once', async () => {
  const seen = new Mailbox<string>();
  @Injectable()
  class Authors {
    @OnInsert(Author)
    created({ new: author }: EntityChange<Author>) {
      seen.push(String(author?.name));
    }
  }
  await using app = await start({
    providers: [Authors],
    dataSource: { entities: [Author, Effect], synchronize: true },
    patch: withPgPubSub,
  });
  const failing = app.dataSource.transaction(async (manager) => {
    await manager.insert(Author, { id: 900, name: 'lost' });
    throw new Error('no');
  });
  await expect(failing).rejects.toThrow('no');
  await query("insert into author select 1000 + n, 'b' || n from generate_series(1, 1000) n");
  await settled(defineChannel('author', { delivery: 'exactly-once' }));
  expect(seen.all).toHaveLength(1_000);
  expect(new Set(seen.all)).toEqual(new Set(range(1_000).map((n) => `b${n}`)));
});
