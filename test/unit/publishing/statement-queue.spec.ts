import { describe, expect, it } from 'vitest';
import { broadcastStatement } from '../../../lib/publishing/statements.js';
import { sendBroadcast } from '../../../lib/publishing/publish.sql.js';
import { createQueue, everythingRuns } from '../support/hand-executor.js';

describe('StatementQueue', () => {
  it('sends the first call at once, alone', () => {
    const { executor, send } = createQueue();
    send('1');
    send('2');

    expect(executor.sent).toEqual([['orders 1']]);
  });

  it('sends a single message with the simplest statement', async () => {
    const { executor, send } = createQueue();
    send('1');
    send('2');
    await executor.succeed();

    expect(executor.statements.map(({ sql }) => sql)).toEqual([sendBroadcast, sendBroadcast]);
  });

  it('sends all waiting calls together, in order', async () => {
    const { executor, send } = createQueue();
    for (const text of ['1', '2', '3', '4']) send(text);
    await executor.succeed();

    expect(executor.sent).toEqual([['orders 1'], ['orders 2', 'orders 3', 'orders 4']]);
  });

  it('sends one statement at a time', async () => {
    const { executor, send } = createQueue();
    send('1');
    await everythingRuns();
    send('2');
    await everythingRuns();

    expect(executor.sent).toEqual([['orders 1']]);
  });

  it('resolves each call when its own statement is done', async () => {
    const { executor, send, results } = createQueue();
    send('1');
    send('2');
    send('3');
    await everythingRuns();
    expect(results).toEqual([]);

    await executor.succeed();
    expect(results).toEqual(['1 sent']);

    await executor.succeed();
    expect(results).toEqual(['1 sent', '2 sent', '3 sent']);
  });

  it('sends again after a pause', async () => {
    const { executor, send, results } = createQueue();
    send('1');
    await executor.succeed();
    send('2');
    await executor.succeed();

    expect(executor.sent).toEqual([['orders 1'], ['orders 2']]);
    expect(results).toEqual(['1 sent', '2 sent']);
  });

  it('combines calls that callers make right after a result in the next statement', async () => {
    const { executor, queue, send } = createQueue();
    const again = async (text: string) => {
      await queue.send(broadcastStatement, [{ channel: 'orders', text }]);
      // the turns that an application needs
      for (let hop = 0; hop < 20; hop++) await Promise.resolve();
      send(`${text} again`);
    };
    send('1');
    const calls = [again('2'), again('3')];
    await executor.succeed();
    await executor.succeed();
    await Promise.all(calls);

    expect(executor.sent.at(-1)).toEqual(['orders 2 again', 'orders 3 again']);
  });

  it('keeps the messages of one call together', async () => {
    const { executor, send, results } = createQueue();
    send('1', '2');
    await executor.succeed();

    expect(executor.sent).toEqual([['orders 1', 'orders 2']]);
    expect(results).toEqual(['1,2 sent']);
  });

  it('keeps empty texts, alone and among others', async () => {
    const { executor, send } = createQueue();
    send('');
    send('1', '', '2', '');
    await executor.succeed();

    expect(executor.sent).toEqual([['orders '], ['orders 1', 'orders ', 'orders 2', 'orders ']]);
  });

  it('sends one empty text among several calls', async () => {
    const { executor, send } = createQueue();
    send('1');
    send('');
    send('2');
    await executor.succeed();

    expect(executor.sent.at(-1)).toEqual(['orders ', 'orders 2']);
  });
});

describe('StatementQueue with equal messages', () => {
  it('never sends equal messages of different calls in one statement, and keeps the order', async () => {
    const { executor, send } = createQueue();
    for (const text of ['first', 'a', 'b', 'a', 'c']) send(text);
    for (let statement = 0; statement < 3; statement++) await executor.succeed();

    expect(executor.sent).toEqual([['orders first'], ['orders a', 'orders b'], ['orders a', 'orders c']]);
  });

  it('delays a whole call when one of its messages is a repetition', async () => {
    const { executor, send } = createQueue();
    send('first');
    send('a', 'b');
    send('c', 'b');
    send('d');
    await executor.succeed();
    await executor.succeed();

    expect(executor.sent.slice(1)).toEqual([
      ['orders a', 'orders b'],
      ['orders c', 'orders b', 'orders d'],
    ]);
  });

  it('sends equal messages of one call, which is one transaction, together', async () => {
    const { executor, send } = createQueue();
    send('a', 'a');
    await executor.succeed();

    expect(executor.sent).toEqual([['orders a', 'orders a']]);
  });

  it('treats equal texts on different channels as different messages', async () => {
    const { executor, queue, send } = createQueue();
    send('first');
    void queue.send(broadcastStatement, [{ channel: 'orders', text: 'a' }]);
    void queue.send(broadcastStatement, [{ channel: 'payments', text: 'a' }]);
    await executor.succeed();

    expect(executor.sent.at(-1)).toEqual(['orders a', 'payments a']);
  });
});

describe('StatementQueue under load', () => {
  const texts = (count: number, prefix = '') =>
    Array.from({ length: count }, (_, index) => `${prefix}${index}`);

  it('sends at most 1,000 messages of several calls in one statement', async () => {
    const { executor, send } = createQueue();
    send('first');
    for (const text of texts(2_500)) send(text);
    for (let statement = 0; statement < 4; statement++) await executor.succeed();

    expect(executor.sent.map(({ length }) => length)).toEqual([1, 1_000, 1_000, 500]);
    expect(executor.sent.flat()).toEqual(['orders first', ...texts(2_500).map((text) => `orders ${text}`)]);
  });

  it('sends a call with more messages alone and in one statement', async () => {
    const { executor, send } = createQueue();
    send('first');
    send('before');
    send(...texts(1_500, 'many '));
    send('after');
    for (let statement = 0; statement < 4; statement++) await executor.succeed();

    expect(executor.sent.map(({ length }) => length)).toEqual([1, 1, 1_500, 1]);
  });
});
