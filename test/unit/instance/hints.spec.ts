import { BehaviorSubject } from 'rxjs';
import { describe, expect, it } from 'vitest';
import type { ConnectionState } from '../../../lib/common/events.js';
import { Hints } from '../../../lib/instance/hints.js';

/** A connection and workers that record the calls. */
function create({ isEmpty = false } = {}) {
  const calls: string[] = [];
  const states = new BehaviorSubject<ConnectionState>('connecting');
  const connection = {
    get state() {
      return states.value;
    },
    state$: states,
    listen: (channel: string, { first = false } = {}) =>
      void calls.push(`listen ${channel}${first ? ' first' : ''}`),
  };
  const workers = {
    isEmpty,
    hint: (channel: string) => void calls.push(`hint ${channel}`),
    wakeAll: () => void calls.push('wake all'),
  };
  const settingsChanged = () => void calls.push('settings changed');
  const hints = new Hints({ connection: () => connection, workers: () => workers, settingsChanged });
  return { hints, states, calls };
}

describe('hints', () => {
  it('are received in a process that handles stored notifications', () => {
    const { hints, calls } = create();
    hints.listen();
    expect(calls).toEqual(['listen pgpubsub first']);
  });

  it('are not received in a process without workers', () => {
    const { hints, calls } = create({ isEmpty: true });
    hints.listen();
    expect(calls).toEqual([]);
  });

  it('wake the worker of the named channel; other notifications wake none', () => {
    const { hints, calls } = create();
    hints.receive({ channel: 'pgpubsub', text: 'orders' });
    hints.receive({ channel: 'news', text: 'orders' });
    expect(calls).toEqual(['hint orders']);
  });

  it('report changed settings of channels when they name none, outside the stack of pg', async () => {
    const { hints, calls } = create();
    hints.receive({ channel: 'pgpubsub', text: '' });
    expect(calls).toEqual([]);
    await Promise.resolve();
    expect(calls).toEqual(['settings changed']);
  });

  it('arrive while the connection listens, and not while it is deaf or lost', () => {
    const { hints, states } = create();
    const heard = (['listening', 'deaf', 'reconnecting', 'closed'] as const).map((state) => {
      states.next(state);
      return hints.areReceived;
    });
    expect(heard).toEqual([true, false, false, false]);
  });

  it('wake all workers when the connection changes, until they are stopped', () => {
    const { hints, states, calls } = create();
    hints.follow();
    states.next('listening');
    hints.stop();
    states.next('reconnecting');
    expect(calls).toEqual(['wake all', 'wake all']);
  });
});
