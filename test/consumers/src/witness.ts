import { Injectable, type OnModuleInit } from '@nestjs/common';
import { defineChannel, PubSubService, type ChannelDefinition } from 'nestjs-pgpubsub';
import { map, type Observable } from 'rxjs';
import { report, type Greeting, type Report } from './greeting.js';

const greetings: ChannelDefinition<Greeting> = defineChannel<Greeting>('greetings');

/** Receives the same greetings through RxJS operators of the application. */
@Injectable()
export class Witness implements OnModuleInit {
  constructor(private readonly pubsub: PubSubService) {}

  onModuleInit(): void {
    const seen: Observable<Report> = this.pubsub.observe(greetings).pipe(
      map(({ payload: { from, way }, context }) => ({
        type: 'observed',
        from,
        way,
        sender: context['process'],
      })),
    );
    seen.subscribe(report);
  }
}
