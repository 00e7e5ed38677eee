import { describe, expect, it } from 'vitest';
import { Semaphore } from '../../../lib/claims/semaphore.js';

interface Channel {
  readonly name: string;
}

/** A request for a slot. */
interface Request {
  readonly owner: Channel;
  release: (() => void) | undefined;
}

/** Settles all promises that can settle. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A semaphore for channels, and the order of its grants. */
function setUp(total: number, names = 'abc') {
  const channels = names.split('').map((name): Channel => ({ name }));
  const semaphore = new Semaphore(total, () => channels.length);
  const grants: string[] = [];
  const ask = (owner: Channel): Request => {
    const request: Request = { owner, release: undefined };
    void semaphore.acquire(owner).then((release) => {
      request.release = release;
      grants.push(owner.name);
    });
    return request;
  };
  const askTimes = (owner: Channel, times: number) => Array.from({ length: times }, () => ask(owner));
  const [a, b, c] = channels as [Channel, Channel, Channel];
  return { semaphore, grants, ask, askTimes, channels, a, b, c };
}

const isHeld = ({ release }: Request) => release !== undefined;

async function release(request: Request | undefined): Promise<void> {
  const { release } = request ?? {};
  if (request === undefined || release === undefined) throw new Error('expected a slot that is held');
  request.release = undefined;
  release();
  await settle();
}

describe('Semaphore', () => {
  it('grants slots at once until all are taken', async () => {
    const { askTimes, a } = setUp(3, 'a');
    const requests = askTimes(a, 5);
    await settle();
    expect(requests.map(isHeld)).toEqual([true, true, true, false, false]);
    await release(requests[1]);
    expect(requests.map(isHeld)).toEqual([true, false, true, true, false]);
  });

  it.each([
    ['one channel may hold all slots', 4, 'a', 4],
    ['one of several channels leaves the last slot to the others', 4, 'ab', 3],
    ['one of several channels may hold the only slot', 1, 'abc', 1],
  ])('limits the share of a channel: %s', async (_case, total, names, share) => {
    const { semaphore, askTimes, a } = setUp(total, names);
    const requests = askTimes(a, total + 2);
    await settle();
    expect(semaphore.share).toBe(share);
    expect(requests.filter(isHeld)).toHaveLength(share);
  });

  it('adapts the share to the number of channels', () => {
    let owners = 1;
    const semaphore = new Semaphore(4, () => owners);
    expect(semaphore.share).toBe(4);
    owners = 2;
    expect(semaphore.share).toBe(3);
  });

  it('grants a channel below its share the slot that a channel at its share waits for', async () => {
    const { ask, askTimes, a, b } = setUp(3);
    const requests = askTimes(a, 4);
    await settle();
    const other = ask(b);
    await settle();
    expect(isHeld(other)).toBe(true);
    await release(requests[0]);
    expect(requests.map(isHeld)).toEqual([false, true, true, false]);
  });

  it('skips a waiter at its share when a slot becomes free', async () => {
    const { ask, askTimes, a, b, c } = setUp(3);
    const held = askTimes(a, 2);
    const other = ask(b);
    const blocked = ask(a);
    const last = ask(c);
    await settle();
    await release(other);
    expect(isHeld(last)).toBe(true);
    expect(isHeld(blocked)).toBe(false);
    await release(held[0]);
    expect(isHeld(blocked)).toBe(true);
  });

  it('grants one slot for each released slot', async () => {
    const { ask, askTimes, a, b, c } = setUp(1);
    const holder = ask(a);
    await settle();
    const waiters = [...askTimes(b, 2), ...askTimes(c, 2)];
    await release(holder);
    expect(waiters.filter(isHeld)).toHaveLength(1);
  });
});

describe('the turns of a Semaphore', () => {
  it('go to the channel whose last turn is the longest ago', async () => {
    const { ask, grants, a, b, c } = setUp(1);
    for (const channel of [c, a, b]) {
      const request = ask(channel);
      await settle();
      await release(request);
    }
    const holder = ask(b);
    await settle();
    const waiters = [ask(b), ask(a), ask(c), ask(c)];
    for (const next of [holder, waiters[2], waiters[1], waiters[0], waiters[3]]) await release(next);
    expect(grants.slice(4).join('')).toBe('cabc');
  });

  it('go to a channel that never had one before all others', async () => {
    const { ask, askTimes, a, b, c } = setUp(2);
    const held = [ask(a), ask(b)];
    await settle();
    const waiting = [...askTimes(a, 10), ...askTimes(b, 10)];
    const third = ask(c);
    await release(held[1]);
    expect(isHeld(third)).toBe(true);
    expect(waiting.filter(isHeld)).toEqual([]);
  });

  it('follow the order of arrival within one channel', async () => {
    const { ask, askTimes, a } = setUp(1, 'a');
    const holder = ask(a);
    const waiters = askTimes(a, 3);
    await settle();
    await release(holder);
    expect(waiters.map(isHeld)).toEqual([true, false, false]);
  });

  it.each([1, 2, 3])(
    'come to a third channel after at most one claim of each busy channel, with %d slots',
    async (total) => {
      const { ask, askTimes, grants, a, b, c } = setUp(total);
      const requests = [...askTimes(a, 20), ...askTimes(b, 20)];
      await settle();
      for (let round = 0; round < 30; round++) {
        await releaseAny(requests, round % 2);
        const third = ask(c);
        const before = grants.length;
        await settle();
        while (!isHeld(third)) await releaseAny(requests, 0);
        const passed = grants.slice(before, -1);
        expect(passed.filter((name) => name === 'a').length).toBeLessThanOrEqual(1);
        expect(passed.filter((name) => name === 'b').length).toBeLessThanOrEqual(1);
        await release(third);
      }

      /** Ends one of the claims of the busy channels; its loop waits for another turn. */
      async function releaseAny(all: Request[], which: number): Promise<void> {
        const held = all.filter(isHeld);
        const ended = held[which % held.length];
        if (ended === undefined) throw new Error('expected a busy channel to hold a slot');
        all.push(ask(ended.owner));
        await release(ended);
      }
    },
  );
});

describe('Semaphore.isWantedByOthers()', () => {
  it('returns whether another channel waits', async () => {
    const { semaphore, ask, a, b, c } = setUp(1);
    expect(semaphore.isWantedByOthers(a)).toBe(false);
    const holder = ask(a);
    ask(a);
    await settle();
    expect(semaphore.isWantedByOthers(a)).toBe(false);
    // "a" holds its share and cannot use another slot
    expect(semaphore.isWantedByOthers(b)).toBe(false);
    const other = ask(b);
    await settle();
    expect(semaphore.isWantedByOthers(a)).toBe(true);
    await release(holder);
    expect(isHeld(other)).toBe(true);
    expect([a, b, c].map((channel) => semaphore.isWantedByOthers(channel))).toEqual([false, true, true]);
  });
});

describe('Semaphore under random load', () => {
  /** Generates pseudo-random numbers that are the same in each run. */
  function* randomNumbers(seed: number): Generator<number, never> {
    for (let state = seed; ;) {
      state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
      yield state / 2 ** 32;
    }
  }

  const cases = [1, 2, 3, 5].flatMap((total) => ['a', 'ab', 'abcd'].map((names) => [total, names] as const));

  it.each(cases)('neither loses nor duplicates any of %d slots of the channels %s', async (total, names) => {
    const { semaphore, ask, grants, channels } = setUp(total, names);
    const numbers = randomNumbers(total * 31 + names.length);
    const random = (below: number) => Math.floor(numbers.next().value * below);
    let open: Request[] = [];
    let asked = 0;
    const assertInvariant = () => {
      const held = open.filter(isHeld);
      const heldBy = (owner: Channel) => held.filter((request) => request.owner === owner).length;
      expect(held.length).toBeLessThanOrEqual(total);
      for (const channel of channels) expect(heldBy(channel)).toBeLessThanOrEqual(semaphore.share);
      const mayTake = open.filter((one) => !isHeld(one) && heldBy(one.owner) < semaphore.share);
      if (held.length < total) expect(mayTake).toEqual([]);
    };
    const releaseRandom = async () => {
      const held = open.filter(isHeld);
      const one = held[random(held.length)];
      open = open.filter((request) => request !== one);
      await release(one);
    };

    for (let step = 0; step < 300; step++) {
      const channel = channels[random(channels.length)];
      if (channel && (random(2) === 0 || !open.some(isHeld))) {
        open.push(ask(channel));
        asked++;
      } else await releaseRandom();
      await settle();
      assertInvariant();
    }
    while (open.length > 0) {
      await releaseRandom();
      assertInvariant();
    }
    expect(grants).toHaveLength(asked);
  });
});
