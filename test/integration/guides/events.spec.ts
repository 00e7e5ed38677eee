import { Injectable } from '@nestjs/common';
import { Listener, NonRetryableError, defineChannel } from 'nestjs-pgpubsub';
import { expect, it } from 'vitest';
import { Mailbox } from '../../support/mailbox.js';
import { useStored } from '../../support/stored.js';
import { DeadLetterAlarm, ErrorTracker } from './events.app.js';

const { start, deadLetters } = useStored();

const Mails = defineChannel<string>('mails', { delivery: 'exactly-once' });

it('the listener of docs/events.md reports dead letters to an error tracker', async () => {
  const captured = new Mailbox<[error: unknown, about: object]>();
  const tracker: ErrorTracker = { capture: (...call) => captured.push(call) };
  @Injectable()
  class Mailer {
    @Listener(Mails)
    send(_mail: string) {
      throw new NonRetryableError('no such address');
    }
  }
  await using app = await start({
    providers: [Mailer, DeadLetterAlarm, { provide: ErrorTracker, useValue: tracker }],
  });
  await app.pubsub.notify(Mails, 'hello');

  const [error, about] = await captured.next();
  const [letter] = await deadLetters(Mails);
  expect(error).toMatchObject({ message: 'no such address' });
  expect(about).toEqual({ channel: 'mails', listener: 'Mailer.send', id: letter?.id });
});
