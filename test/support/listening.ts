import { Injectable } from '@nestjs/common';
import { Listener, OnGap, type ConnectionState, type Gap, type PgPubSubOptions } from 'nestjs-pgpubsub';
import { Mailbox } from './mailbox.js';
import { useDatabase } from './use-database.js';

/** A database, and applications that listen to the channel "orders" and to gaps. */
export function useListening() {
  const database = useDatabase();

  async function startListening(options: PgPubSubOptions = {}) {
    const received = new Mailbox<unknown>();
    const gaps = new Mailbox<Gap>();
    const states = new Mailbox<ConnectionState>();
    @Injectable()
    class Orders {
      @Listener('orders')
      receive(payload: unknown) {
        received.push(payload);
      }
      @OnGap()
      onGap(gap: Gap) {
        gaps.push(gap);
      }
      @OnGap()
      failsOnGap() {
        throw new Error('no cache to clear');
      }
    }
    const app = await database.start({ providers: [Orders], options });
    app.pubsub.connection$.subscribe(states.push);
    return { app, received, gaps, states };
  }

  return { database, startListening };
}
