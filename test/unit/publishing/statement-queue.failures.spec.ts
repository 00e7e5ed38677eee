import { describe, expect, it } from 'vitest';
import { broadcastStatement } from '../../../lib/publishing/statements.js';
import { StatementQueue } from '../../../lib/publishing/statement-queue.js';
import { createQueue } from '../support/hand-executor.js';

const rejection = (message = 'rejected', severity = 'ERROR') =>
  Object.assign(new Error(message), { severity, code: '22023' });

describe('StatementQueue with a failing statement', () => {
  const sendShared = (splits: boolean) => {
    const created = createQueue({ splits });
    for (const text of ['first', 'good', 'bad', 'fine']) created.send(text);
    return created;
  };

  it.each(['ERROR', 'FEHLER'])(
    'sends each call again on its own when the server rejected the statement (%s), so that only the invalid one fails',
    async (severity) => {
      const { executor, results } = sendShared(true);
      await executor.succeed();
      await executor.fail(rejection('bad one', severity));
      await executor.succeed();
      await executor.fail(rejection('bad', severity));
      await executor.succeed();

      expect(executor.sent.slice(1)).toEqual([
        ['orders good', 'orders bad', 'orders fine'],
        ['orders good'],
        ['orders bad'],
        ['orders fine'],
      ]);
      expect(results).toEqual(['first sent', 'good sent', 'bad failed: bad', 'fine sent']);
    },
  );

  it('rejects a single call and continues with the next one', async () => {
    const { executor, send, results } = createQueue();
    send('bad');
    send('good');
    await executor.fail(rejection());
    await executor.succeed();

    expect(executor.sent).toEqual([['orders bad'], ['orders good']]);
    expect(results).toEqual(['bad failed: rejected', 'good sent']);
  });

  it.each([
    ['the connection was lost', new Error('Connection terminated unexpectedly')],
    ['the socket was reset', Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })],
    ['the pipe was broken', Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })],
    [
      'the server ended the session',
      Object.assign(new Error('terminated'), { severity: 'FATAL', code: '57P01' }),
    ],
  ])('rejects all calls and sends none of them again when %s', async (_how, error) => {
    const { executor, results } = sendShared(true);
    await executor.succeed();
    await executor.fail(error);

    expect(executor.sent).toHaveLength(2);
    expect(results).toEqual([
      'first sent',
      ...['good', 'bad', 'fine'].map((text) => `${text} failed: ${error.message}`),
    ]);
  });

  it('sends nothing again in a transaction, which the error has aborted', async () => {
    const { executor, results } = sendShared(false);
    await executor.succeed();
    await executor.fail(rejection());

    expect(executor.sent).toHaveLength(2);
    expect(results.slice(1)).toEqual(['good', 'bad', 'fine'].map((text) => `${text} failed: rejected`));
  });

  it('rejects the call when the executor throws', async () => {
    const query = () => {
      throw new Error('released');
    };
    const queue = new StatementQueue({ query }, true);

    await expect(queue.send(broadcastStatement, [{ channel: 'orders', text: '1' }])).rejects.toThrow(
      'released',
    );
    await expect(queue.send(broadcastStatement, [{ channel: 'orders', text: '2' }])).rejects.toThrow(
      'released',
    );
  });
});
