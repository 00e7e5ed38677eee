import { Injectable, type OnModuleInit } from '@nestjs/common';
import { PubSubService } from 'nestjs-pgpubsub';

/** Represents the client of an error tracker. */
export abstract class ErrorTracker {
  abstract capture(error: unknown, about: object): void;
}

@Injectable()
export class DeadLetterAlarm implements OnModuleInit {
  constructor(
    private readonly pubsub: PubSubService,
    private readonly tracker: ErrorTracker,
  ) {}

  onModuleInit() {
    this.pubsub.events$.subscribe((event) => {
      if (event.type !== 'stored-failed') return;
      if (event.delayMs !== undefined) return; // a retry follows
      const { channel, listener, id, error } = event;
      this.tracker.capture(error, { channel, listener, id });
    });
  }
}
