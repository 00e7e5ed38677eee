import type { ChannelLike } from 'nestjs-pgpubsub';
import { beforeAll, expect, it } from 'vitest';
import { TestApp } from '../../support/app.js';
import { useDatabase } from '../../support/use-database.js';

const database = useDatabase();
let app: TestApp;
beforeAll(async () => {
  app = await database.start({ options: { listen: false } });
});

it('notify() and notifyMany() reject options that are not an object, and send nothing', async () => {
  const heard: unknown[] = [];
  const subscription = app.pubsub.observe('orders').subscribe(({ payload }) => heard.push(payload));
  for (const options of [null, () => undefined, app.dataSource.manager] as never[]) {
    await expect(app.pubsub.notify('orders', 1, options)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(app.pubsub.notifyMany('orders', [], options)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  }
  await app.pubsub.notify('orders', 'sent', undefined);
  await expect.poll(() => heard).toEqual(['sent']);
  subscription.unsubscribe();
});

it('withContext() and withoutTriggers() reject invalid arguments before the work runs', async () => {
  const refused = { code: 'INVALID_ARGUMENT' };
  const work = () => Promise.reject(new Error('done'));
  for (const options of [null, () => undefined, app.dataSource.manager] as never[]) {
    await expect(app.pubsub.withContext({}, work, options)).rejects.toMatchObject(refused);
    await expect(app.pubsub.withoutTriggers(work, options)).rejects.toMatchObject(refused);
  }
  await expect(app.pubsub.withContext({}, {} as never)).rejects.toMatchObject(refused);
  await expect(app.pubsub.withoutTriggers(undefined as never)).rejects.toMatchObject(refused);
});

it.each([[['orders', 'payments']], [null], [{}]])(
  'observe() and listen() reject the channel %o',
  (channel: unknown) => {
    const refused = expect.objectContaining({ code: 'INVALID_CHANNEL' }) as Error;

    expect(() => app.pubsub.observe(channel as ChannelLike)).toThrow(refused);
    expect(() => app.pubsub.listen(channel as ChannelLike)).toThrow(refused);
  },
);

it.each(['orders', null, {}])(
  'recover(), pause() and resume() reject the channels %o',
  async (channels: unknown) => {
    const refused = expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error;
    const given = channels as readonly ChannelLike[];

    await expect(app.pubsub.recover(given)).rejects.toEqual(refused);
    await expect(app.pubsub.pause(given)).rejects.toEqual(refused);
    await expect(app.pubsub.resume(given)).rejects.toEqual(refused);
  },
);
