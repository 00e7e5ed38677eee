import { Injectable } from '@nestjs/common';
import { Listener, defineChannel, type Notification, type PgPubSubOptions } from 'nestjs-pgpubsub';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { TestApp } from '../../support/app.js';
import { recordParsed, useStored } from '../../support/stored.js';

const { start, query, settled, effects, deadLetters } = useStored();
afterEach(async () => {
  vi.restoreAllMocks();
  await query('truncate pgpubsub_notification, pgpubsub_dead_letter, effect');
});

const Orders = defineChannel<string>('orders', { delivery: 'exactly-once' });

/**
 * Handles payloads in claims of one row each, on one connection; the handlers write the result of
 * `work`.
 */
async function handle(
  payloads: readonly string[],
  work: (notification: Notification<string>) => Promise<string>,
  options: PgPubSubOptions = {},
): Promise<TestApp> {
  @Injectable()
  class Handler {
    @Listener(Orders)
    async receive(_payload: string, notification: Notification<string>) {
      const what = await work(notification);
      await notification.manager.query('insert into effect (what) values ($1)', [what]);
    }
  }
  await using sender = await start({ channels: [Orders], options: { listen: false } });
  await sender.pubsub.notifyMany(Orders, payloads);
  return start({
    providers: [Handler],
    options: { concurrency: 1, batch: { maxSize: 1, maxTimeMs: 60_000 }, ...options },
  });
}

describe('the guarded settings', () => {
  it('are read once for the claims of a connection', async () => {
    const parsed = recordParsed();
    await using _app = await handle(['a', 'b', 'c', 'd'], async ({ payload }) => payload);
    await settled(Orders);
    expect(await effects()).toEqual(['a', 'b', 'c', 'd']);
    expect(parsed.filter((text) => text.includes('session_replication_role'))).toHaveLength(1);
  });

  it('follow the context of the module, which may differ for each claim', async () => {
    let contexts = 0;
    let calls = 0;
    await using _app = await handle(
      ['a', 'b', 'c'],
      async ({ payload, manager }) => {
        calls++;
        const [row] = await manager.query<{ context: string }[]>(
          `select current_setting('pgpubsub.context') as context`,
        );
        return `${payload} ${String(row?.context)}`;
      },
      { context: () => ({ claim: ++contexts }) },
    );
    await settled(Orders);
    expect(calls).toBe(3);
    const found = await effects();
    expect(new Set(found).size).toBe(3);
    for (const effect of found) expect(effect).toMatch(/^[abc] \{"claim": ?\d+\}$/);
  });

  it('are verified in later claims, too: a setting that a function changes there is reset', async () => {
    await query(`create function sets() returns void language sql as $$ select set_config('lock_timeout', '5s', false) $$`); // prettier-ignore
    try {
      await using _app = await handle(['a', 'b', 'sets', 'c', 'd'], async ({ payload, manager }) => {
        const [row] = await manager.query<{ timeout: string }[]>(
          `select current_setting('lock_timeout') as timeout`,
        );
        if (payload === 'sets') await manager.query('select sets()');
        return `${payload} ${String(row?.timeout)}`;
      });
      await settled(Orders);
      expect(await effects()).toEqual(['a 0', 'b 0', 'sets 0', 'c 0', 'd 0']);
      expect(await deadLetters(Orders)).toEqual([]);
    } finally {
      await query('drop function sets()');
    }
  });
});
