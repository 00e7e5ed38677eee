import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { PubSubService } from 'nestjs-pgpubsub';
import { ListenerFailed } from '../channels.js';
import { settings } from '../settings.js';

/** Broadcasts failures of this process's listeners, so that every page shows them. */
@Injectable()
export class FailureReporter implements OnModuleInit {
  private readonly logger = new Logger(FailureReporter.name);

  constructor(private readonly pubsub: PubSubService) {}

  onModuleInit(): void {
    this.pubsub.events$.subscribe((event) => {
      if (event.type !== 'stored-failed') return;
      const { channel, id, attempt, delayMs = null } = event;
      const failure = { process: settings.processName, channel, id, attempt, delayMs };
      this.pubsub.notify(ListenerFailed, failure).catch((error: unknown) => this.logger.warn(error));
    });
  }
}
