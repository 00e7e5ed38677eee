import { Injectable, type Provider } from '@nestjs/common';
import { Listener, type ChannelDefinition, type ListenerOptions, type Notification } from 'nestjs-pgpubsub';
import type { TestApp } from './app.js';
import { Mailbox, eventually } from './mailbox.js';
import type { StartStored, useStored } from './stored.js';
import { TcpProxy } from './tcp-proxy.js';

type Stored = ReturnType<typeof useStored>;
type Act = (payload: number, notification: Notification) => unknown;

/** The limit of two waits of the library, 10 s each, and some seconds for the work. */
export const RECOVERY_MS = 25_000;

/** The record of a run that is the first one as far as the database knows. */
export const uncounted = (payload: number): string => `${payload}: attempt 1 (attempts 0, deaths 0)`;

/**
 * A listener that writes an effect for each notification, and records each of its runs with the
 * counters of the row. `act` is called in the first run of each payload, after the effect.
 */
export function recordRuns(
  channel: ChannelDefinition<number>,
  act: Act = () => undefined,
  options: ListenerOptions = {},
): { readonly provider: Provider; readonly runs: Mailbox<string> } {
  const runs = new Mailbox<string>();
  const seen = new Set<number>();
  @Injectable()
  class Recorder {
    @Listener(channel, { ...options, name: 'record' })
    async record(payload: number, notification: Notification) {
      const { manager, id, attempt } = notification;
      const sql = 'select attempts, deaths from pgpubsub_notification where id = $1';
      const [row] = await manager.query<{ attempts: number; deaths: number }[]>(sql, [id]);
      await manager.query('insert into effect (what) values ($1)', [`${channel.name} ${payload}`]);
      runs.push(`${payload}: attempt ${attempt} (attempts ${row?.attempts}, deaths ${row?.deaths})`);
      if (seen.has(payload)) return;
      seen.add(payload);
      await act(payload, notification);
    }
  }
  return { provider: Recorder, runs };
}

/** A gate at which a handler waits until the test opens it. */
export function gate(): { readonly reached: Promise<void>; pass(): Promise<void>; open(): void } {
  const [reached, reach] = signal();
  const [opened, open] = signal();
  return {
    reached,
    pass: () => {
      reach();
      return opened;
    },
    open,
  };
}

function signal(): readonly [Promise<void>, () => void] {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((settle) => (resolve = settle));
  return [promise, resolve];
}

/**
 * Starts an application whose pool goes through a proxy of its own; its LISTEN connection does not.
 * One claim runs at a time.
 */
export async function startBehindProxy(stored: Stored, { options, dataSource, ...rest }: StartStored) {
  const proxy = await TcpProxy.start(stored.database.url);
  const started = stored.start({
    options: {
      connection: stored.database.url,
      concurrency: 1,
      batch: { maxTimeMs: 60_000 },
      ...options,
    },
    dataSource: { url: proxy.url, ...dataSource },
    ...rest,
  });
  const app = await started.catch(async (error: unknown) => {
    await proxy[Symbol.asyncDispose]();
    throw error;
  });
  return {
    app,
    proxy,
    async [Symbol.asyncDispose]() {
      proxy.cut(); // so that nothing waits for a silent connection
      await app.close();
      await proxy[Symbol.asyncDispose]();
    },
  };
}

/**
 * Lets a message of a client pass only after `work`, then the next one. Never resolves; ends with
 * the proxy.
 */
export async function slowDown(proxy: TcpProxy, work: () => Promise<unknown>): Promise<never> {
  let next = proxy.hold('');
  for (;;) {
    const held = await next;
    await work().catch(() => undefined);
    next = proxy.hold('');
    held.deliver();
  }
}

/**
 * Stores 1 … `count`, in one transaction, as any other client does. They become due at the same
 * time: a claim that starts at this time takes all of them or none.
 */
export const store = (stored: Stored, channel: ChannelDefinition<number>, count: number) =>
  stored.query(
    'select pgpubsub_notify($1, to_json(n), available_at => now()) from generate_series(1, $2::int) as n',
    [channel.name, count],
  );

/** Resolves when no notification of the channel is waiting; fails after `withinMs`. */
export const handled = (stored: Stored, channel: ChannelDefinition<number>, withinMs = RECOVERY_MS) =>
  eventually(
    async () => (await stored.waiting(channel)).length === 0,
    `everything on "${channel.name}" is handled`,
    withinMs,
  );

/** The payloads of the channel's committed effects, sorted. */
export async function committed(stored: Stored, channel: ChannelDefinition<number>): Promise<number[]> {
  const effects = await stored.effects(`${channel.name} `);
  return effects.map((what) => Number(what.split(' ').at(-1))).toSorted((a, b) => a - b);
}

/** Opens that number of connections in the application's pool, and returns them. */
export async function fillPool({ dataSource }: TestApp, connections: number): Promise<void> {
  const runners = Array.from({ length: connections }, () => dataSource.createQueryRunner());
  await Promise.all(runners.map((runner) => runner.connect()));
  await Promise.all(runners.map((runner) => runner.release()));
}
