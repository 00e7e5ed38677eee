import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ListenSession } from '../../../lib/connection/listen-session.js';
import { ACTIVE_TIMEOUT_MS, ListenSet } from '../../../lib/connection/listen-set.js';
import { recordFacts } from '../support/recording.js';

/** A session whose round trips last until `answer()`. */
function slowSession() {
  const trips: (() => void)[] = [];
  const changeListens = vi.fn<ListenSession['changeListens']>(
    () => new Promise<void>((resolve) => trips.push(resolve)),
  );
  const session = { changeListens, destroy: vi.fn<ListenSession['destroy']>() } as unknown as ListenSession;
  const answer = async () => {
    await vi.advanceTimersByTimeAsync(0);
    trips.shift()?.();
    await vi.advanceTimersByTimeAsync(0);
  };
  return { session, changeListens, answer };
}

/** Whether `promise` has settled, as things are now. */
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
    const set = new ListenSet('permanent', recordFacts().report);
    const attaching = set.attach(slow.session);
    await slow.answer();
    await attaching;
    await pass(0);
    return { set, ...slow };
  }

  it('lets a channel wait for its round trip, and no longer', async () => {
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

  it('lets a channel wait for the round trip after the one that is under way', async () => {
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

  it('lets a channel wait 100 ms at most, without looking again and again', async () => {
    const { set } = await attached();
    set.add('a');
    const waiting = watch(set.whenActive('a'));
    await pass(0);
    expect(vi.getTimerCount()).toBe(1);
    await pass(ACTIVE_TIMEOUT_MS);
    expect(waiting.isOver).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('lets a channel wait for the first session', async () => {
    const { session, answer } = slowSession();
    const set = new ListenSet('permanent', recordFacts().report);
    set.add('a');
    set.expectFirst(set.attach(session));
    const waiting = watch(set.whenActive('a'));
    await pass(ACTIVE_TIMEOUT_MS / 2);
    expect(waiting.isOver).toBe(false);
    await answer();
    expect(waiting.isOver).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('does not let a channel wait for a first session that is late', async () => {
    const set = new ListenSet('permanent', recordFacts().report);
    set.add('a');
    set.expectFirst(new Promise(() => undefined));
    await pass(ACTIVE_TIMEOUT_MS - 10);
    const waiting = watch(set.whenActive('a'));
    expect(set.isPending('a')).toBe(true);
    await pass(10);
    expect(waiting.isOver).toBe(true);
    expect(set.isPending('a')).toBe(false);
  });

  it('lets a channel that nobody asked for, or that is in force, wait for nothing', async () => {
    const { set, answer } = await attached();
    set.add('a');
    await answer();
    const waiting = [watch(set.whenActive('a')), watch(set.whenActive('unknown'))];
    await pass(0);
    expect(waiting).toEqual([{ isOver: true }, { isOver: true }]);
  });
});
