import { describe, expect, it } from 'vitest';
import { readText } from '../../support/documents.js';
import { EXTREMES } from '../../support/forgeries.js';
import { heapMegabytes } from '../../support/heap.js';
import { Orders, Scene, attempt } from '../../support/hostile-roles.js';
import { eventually } from '../../support/mailbox.js';

/**
 * Whether a row of a role with rights on the table of notifications has changed the prototype of
 * all objects.
 */

const isPolluted = () => 'polluted' in {};

/** The documented grants for a role that writes, on the tables of the library. */
const documentedGrants = (): string[] =>
  (readText('docs/table-changes.md').match(/^grant [^;]* to writer;/gm) ?? []).filter((grant) =>
    grant.includes(' on pgpubsub_'),
  );

describe('a role with the documented grants', () => {
  const kind = 'has the documented grants';

  it('cannot exhaust the memory with large rows', async () => {
    await using scene = await Scene.start(kind);
    const { pubsub } = scene.app;
    await pubsub.notifyMany(
      Orders,
      Array.from({ length: 2_000 }, () => ({ name: 'proof small' })),
    );
    await eventually(async () => (await pubsub.stored.count({ channel: Orders })) === 0, 'claims are full');
    const hostile = await scene.hostile();
    await pubsub.pause([Orders]);
    for (const [column, value] of [
      ['context', `json_build_object('a', repeat('x', 3000000))::jsonb`],
      ['key', `repeat('k', 200000)`],
      ['payload', `json_build_object('name', repeat('x', 2000000))`],
    ] as const)
      await hostile.query(`insert into pgpubsub_notification (channel, ${column === 'payload' ? column : `payload, ${column}`})
        select 'orders', ${column === 'payload' ? value : `'{"name":"large"}', ${value}`} from generate_series(1, 30)`);
    const before = heapMegabytes();
    const used: number[] = [];
    let calls = 0;
    scene.onCall = () => {
      scene.calls.all.length = 0; // the scene would keep all of them
      if (calls++ % 10 === 0) used.push(heapMegabytes() - before); // measuring more often would make claims smaller
    };
    await pubsub.resume([Orders]);
    await eventually(async () => (await pubsub.stored.count({ channel: Orders })) === 0, 'all is handled');
    scene.onCall = () => undefined;
    expect(calls).toBe(90);
    expect(Math.max(...used)).toBeLessThan(50); // 156 megabytes are stored
    await scene.expectToWork();
  });

  it('cannot stop the application with extreme values in every column', async () => {
    await using scene = await Scene.start(kind);
    const hostile = await scene.hostile();
    const errors: (Error | undefined)[] = [];
    for (const channel of ['orders', 'moves', 'invoice'])
      for (const [column, values] of Object.entries(EXTREMES))
        for (const value of values) {
          const row = { channel: `'${channel}'`, payload: `'{"name":"foreign"}'`, key: `'hostile'`, [column]: value }; // prettier-ignore
          const sql = `insert into pgpubsub_notification (${Object.keys(row).join()}) values (${Object.values(row).join()})`; // prettier-ignore
          errors.push(await attempt(hostile, sql));
        }
    expect(errors.filter(Boolean).length).toBeLessThan(errors.length / 10);
    await scene.app.pubsub.recover();
    await scene.expectToWork();
    const changes = scene.foreignCalls.filter(({ listener }) => listener === 'invoice');
    expect(changes).toEqual([]);
    expect(isPolluted()).toBe(false);
  });

  it('cannot make a report fail', async () => {
    await using scene = await Scene.start(kind);
    const { pubsub } = scene.app;
    await pubsub.pause([Orders]);
    const hostile = await scene.hostile();
    for (const [column, values] of Object.entries(EXTREMES))
      for (const value of values) {
        const row = { channel: `'orders'`, payload: `'{"name":"foreign"}'`, [column]: value };
        await attempt(hostile, `insert into pgpubsub_notification (${Object.keys(row).join()}) values (${Object.values(row).join()})`); // prettier-ignore
      }
    await hostile.query(`insert into pgpubsub_notification (channel) select 'unknown ' || i from generate_series(1, 5000) as i`); // prettier-ignore
    const pending: unknown[] = [];
    for await (const { id } of pubsub.stored.pending({})) pending.push(id);
    expect(pending.length).toBeGreaterThan(5_000);
    expect(await pubsub.stored.count({})).toBe(pending.length);
    expect(await pubsub.status()).toMatchObject({ health: 'up', reasons: [] });
    await pubsub.resume([Orders]);
    await pubsub.recover();
    const letters: unknown[] = [];
    for await (const letter of pubsub.stored.deadLetters({})) letters.push(letter.lastError);
    expect(await pubsub.stored.retry({})).toBe(letters.length);
    await pubsub.recover();
    await scene.expectToWork();
  });

  it('may write no other column, and so no id ahead of the sequence', async () => {
    await using scene = await Scene.start(kind);
    const hostile = await scene.hostile();
    const others = await scene.administer(`
      select quote_ident(attname) as name from pg_attribute
      where attrelid = 'pgpubsub_notification'::regclass and attnum > 0 and not attisdropped
        and attname not in ('channel', 'payload', 'key', 'context', 'available_at')`);
    expect(others.length).toBeGreaterThan(0);
    for (const { name } of others)
      for (const overriding of ['', 'overriding system value']) {
        const sql = `insert into pgpubsub_notification (channel, ${name}) ${overriding} values ('orders', null)`;
        expect(String(await attempt(hostile, sql))).toContain('permission denied');
      }
    for (const sql of [
      'select * from pgpubsub_notification',
      'select id from pgpubsub_notification for update',
      `update pgpubsub_notification set payload = null`,
      'delete from pgpubsub_notification',
      'truncate pgpubsub_notification',
      'select * from pgpubsub_dead_letter',
    ])
      expect(String(await attempt(hostile, sql))).toContain('permission denied');
    await scene.expectToWork();
  });

  it('delays only the keys that it names with rows that are never due', async () => {
    await using scene = await Scene.start(kind);
    const hostile = await scene.hostile();
    await hostile.query(`insert into pgpubsub_notification (channel, payload, key, available_at)
      select c, '{"name":"foreign"}', 'hostile ' || i % 1000, 'infinity'
      from generate_series(1, 5000) as i cross join unnest(array['moves', 'orders', 'invoice']) as c`);
    await scene.expectToWork();
    expect(scene.foreignCalls).toEqual([]);
  });

  it('stores with the function, and with the trigger of a table that it may write', async () => {
    await using scene = await Scene.start(kind);
    await scene.administer(`grant insert on invoice to ${scene.role}; grant usage on sequence invoice_id_seq to ${scene.role}`); // prettier-ignore
    const hostile = await scene.hostile();
    await hostile.query(`select pgpubsub_notify('orders', '{"name":"by the function"}')`);
    await hostile.query(`insert into invoice (name) values ('by the trigger')`);
    await scene.arrives('by the function', 'orders');
    await scene.arrives('by the trigger', 'invoice');
    await scene.expectToWork();
  });

  it('cannot make a write of the application fail', async () => {
    await using scene = await Scene.start('may only connect');
    expect(documentedGrants()).not.toEqual([]);
    for (const grant of documentedGrants()) await scene.administer(grant.replaceAll('writer', scene.role));
    const hostile = await scene.hostile();
    await attempt(hostile, `insert into pgpubsub_notification (id, channel) select i, 'unknown' from generate_series(1, 10000) as i`); // prettier-ignore
    await scene.expectToWork();
  });
});
