import { expect, it } from 'vitest';
import { collector } from '../../support/listeners.js';
import { useStored } from '../../support/stored.js';

const { start, query } = useStored();

it('the status of docs/health.md describes the health of an instance', async () => {
  await query(
    `insert into pgpubsub_notification (channel, payload, created_at, available_at) values ('mails', '1', now() - interval '2 minutes', now() - interval '2 minutes')`,
  );
  await using app = await start({ providers: [collector('orders').provider] });
  const { pubsub } = app;

  const status = await pubsub.status({ maxBacklogAgeMs: 60_000 });
  const { health, reasons, connection, channels, queueUsage } = status;

  expect(health).toBe('degraded');
  expect(reasons).toEqual([expect.stringContaining('mails')]);
  expect(connection).toMatchObject({ state: 'listening', channels: ['orders'], reason: null });
  expect(channels).toMatchObject([{ channel: 'mails', waiting: 1, due: 1, retrying: 0, dead: 0 }]);
  expect(channels[0]?.overdueMs).toBeGreaterThan(60_000);
  expect(queueUsage).toBeCloseTo(0);
});
