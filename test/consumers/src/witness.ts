import { Injectable, type OnModuleInit } from '@nestjs/common';
import { defineChannel, PubSubService, type ChannelDefinition } from 'nestjs-pgpubsub';
import { map, type Observable } from 'rxjs';
import { tell, type Greeting, type Report } from './greeting.js';

const greetings: ChannelDefinition<Greeting> = defineChannel<Greeting>('greetings');

/** Receives the same through the application's own RxJS operators. */
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
    seen.subscribe(tell);
  }
}
