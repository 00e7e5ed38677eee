import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ListenClient } from '../../../lib/connection/listen-client.js';
import {
  ACTIVE_TIMEOUT_MS,
  ListenSet,
  MANY_CHANNELS,
  MAX_NAMES,
} from '../../../lib/connection/listen-set.js';
import { recordEvents } from '../support/recording.js';

/** A session whose round trips last until `answer()`. */
function slowSession() {
  const trips: (() => void)[] = [];
  const changeListens = vi.fn<ListenClient['changeListens']>(
    () => new Promise<void>((resolve) => trips.push(resolve)),
  );
  const session = { changeListens, destroy: vi.fn<ListenClient['destroy']>() } as unknown as ListenClient;
  const answer = async () => {
    await vi.advanceTimersByTimeAsync(0);
    trips.shift()?.();
    await vi.advanceTimersByTimeAsync(0);
  };
  return { session, changeListens, answer };
}

/** Records whether `promise` has settled. */
function watch(promise: Promise<unknown>) {
  const watched = { isOver: false };
  void promise.then(() => (watched.isOver = true));
  return watched;
}

describe('ListenSet', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });
  const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

  async function attached() {
    const slow = slowSession();
    const set = new ListenSet('permanent', recordEvents().report);
    const attaching = set.attach(slow.session);
    await slow.answer();
    await attaching;
    await pass(0);
    return { set, ...slow };
  }

  it('makes a new channel wait until its round trip ends', async () => {
    const { set, answer, changeListens } = await attached();
    set.add('a');
    set.add('b');
    const waiting = watch(set.whenActive('a'));
    await pass(ACTIVE_TIMEOUT_MS - 1);
    expect(waiting.isOver).toBe(false);
    await answer();
    expect(waiting.isOver).toBe(true);
    expect(changeListens.mock.lastCall).toEqual([['a', 'b'], []]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('makes a new channel wait for the round trip after the running one', async () => {
    const { set, answer } = await attached();
    set.add('a');
    await pass(0);
    set.add('b');
    const waiting = watch(set.whenActive('b'));
    await answer();
    expect(waiting.isOver).toBe(false);
    await answer();
    expect(waiting.isOver).toBe(true);
  });

  it('makes a new channel wait at most 100 ms, without polling', async () => {
    const { set } = await attached();
    set.add('a');
    const waiting = watch(set.whenActive('a'));
    await pass(0);
    expect(vi.getTimerCount()).toBe(1);
    await pass(ACTIVE_TIMEOUT_MS);
    expect(waiting.isOver).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('makes a new channel wait for the first session', async () => {
    const { session, answer } = slowSession();
    const set = new ListenSet('permanent', recordEvents().report);
    set.add('a');
    set.expectFirst(set.attach(session));
    const waiting = watch(set.whenActive('a'));
    await pass(ACTIVE_TIMEOUT_MS / 2);
    expect(waiting.isOver).toBe(false);
    await answer();
    expect(waiting.isOver).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('does not make a new channel wait for a first session that is late', async () => {
    const set = new ListenSet('permanent', recordEvents().report);
    set.add('a');
    set.expectFirst(new Promise(() => undefined));
    await pass(ACTIVE_TIMEOUT_MS - 10);
    const waiting = watch(set.whenActive('a'));
    expect(set.isPending('a')).toBe(true);
    await pass(10);
    expect(waiting.isOver).toBe(true);
    expect(set.isPending('a')).toBe(false);
  });

  it('does not make an unknown or an active channel wait', async () => {
    const { set, answer } = await attached();
    set.add('a');
    await answer();
    const waiting = [watch(set.whenActive('a')), watch(set.whenActive('unknown'))];
    await pass(0);
    expect(waiting).toEqual([{ isOver: true }, { isOver: true }]);
  });
});

describe('ListenSet with many channels', () => {
  const names = (count: number, prefix = 'user') => Array.from({ length: count }, (_, n) => `${prefix}:${n}`);
  /** The error with which the server rejects a statement. */
  const rejection = Object.assign(new Error('invalid name'), { code: '22023', severity: 'ERROR' });

  /** A session that answers in the next turn and rejects statements with any of these names. */
  function session(rejected: readonly string[] = []) {
    const statements: string[][] = [];
    const changeListens = async (added: Iterable<string>, removed: Iterable<string> = []) => {
      const changed = [...added, ...removed];
      statements.push(changed);
      await turn();
      if (changed.some((name) => rejected.includes(name))) throw rejection;
    };
    return {
      statements,
      session: { changeListens, destroy: vi.fn<ListenClient['destroy']>() } as unknown as ListenClient,
    };
  }

  function setOf(channels: readonly string[]) {
    const { events, report } = recordEvents();
    const set = new ListenSet('permanent', report);
    for (const channel of channels) set.add(channel);
    return { set, events };
  }

  it('activates the channels marked as first when it attaches, and the others in batches afterwards', async () => {
    const others = names(2 * MAX_NAMES);
    const { set } = setOf(others);
    set.add('of a listener', { first: true });
    const { session: attached, statements } = session();
    await set.attach(attached);
    expect(statements[0]).toEqual(['permanent', 'of a listener', ...others.slice(0, MAX_NAMES - 2)]);
    expect(set.isPending('of a listener')).toBe(false);
    expect(set.isPending(others.at(-1) ?? '')).toBe(true);

    const missing = set.missingChannels;
    expect(await set.whenInForce(attached, missing)).toBe(true);
    expect(missing).toEqual(others.slice(MAX_NAMES - 2));
    expect(statements.map(({ length }) => length)).toEqual([MAX_NAMES, MAX_NAMES, 2]);
    expect(set.isPending(others.at(-1) ?? '')).toBe(false);
    expect(set.missingChannels).toEqual([]);
  });

  it('attaches in several batches when many channels are marked as first', async () => {
    const { set } = setOf([]);
    for (const name of names(MAX_NAMES + 1)) set.add(name, { first: true });
    const { session: attached, statements } = session();
    await set.attach(attached);
    expect(statements.map(({ length }) => length)).toEqual([MAX_NAMES, 2]);
    expect(set.missingChannels).toEqual([]);
  });

  it('changes thousands of channels in batches', async () => {
    const { set } = setOf([]);
    const { session: attached, statements } = session();
    await set.attach(attached);
    const many = names(MAX_NAMES + 10);
    for (const name of many) set.add(name);
    await set.whenInForce(attached, many);
    for (const name of many) set.delete(name);
    set.add('the last');
    await set.whenInForce(attached, ['the last']);
    await vi.waitFor(() => expect(statements.flat().length).toBe(1 + 2 * many.length + 1));
    expect(Math.max(...statements.map(({ length }) => length))).toBe(MAX_NAMES);
    expect(statements.find((changed) => changed.includes('the last'))?.[0]).toBe('the last');
  });

  it('finds the channel that the server rejects by bisection', async () => {
    const { set, events } = setOf(names(MAX_NAMES - 1));
    const { session: attached, statements } = session(['user:300']);
    await set.attach(attached);
    expect(events).toEqual([{ type: 'refused', channel: 'user:300', error: rejection }]);
    expect(statements.length).toBeLessThan(25);
    expect(statements.filter((changed) => !changed.includes('user:300')).flat().length).toBe(MAX_NAMES - 1);
  });

  it('does not attach to a server that rejects every channel', async () => {
    const { set, events } = setOf(['orders']);
    const { session: standby } = session(['permanent', 'orders']);
    await expect(set.attach(standby)).rejects.toBe(rejection);
    expect(events).toEqual([]);
  });

  it('reports that channels are not active when their session has ended', async () => {
    const { set } = setOf(names(2 * MAX_NAMES));
    const { session: attached } = session();
    await set.attach(attached);
    const inForce = set.whenInForce(attached, set.missingChannels);
    set.detach();
    expect(await inForce).toBe(false);
  });

  it('warns about many channels once, and again after there were fewer', () => {
    const { set, events } = setOf(names(MANY_CHANNELS - 1));
    expect(events).toEqual([]);
    for (const name of ['a', 'b', 'c']) set.add(name);
    expect(events).toEqual([{ type: 'crowded', count: MANY_CHANNELS }]);
    for (const name of ['a', 'b', 'c']) set.delete(name);
    set.add('a');
    expect(events.length).toBe(2);
  });
});
