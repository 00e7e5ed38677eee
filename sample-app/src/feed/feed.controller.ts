import { Controller, Sse, type MessageEvent } from '@nestjs/common';
import { PubSubService } from 'nestjs-pgpubsub';
import { map, type Observable } from 'rxjs';
import { Author } from '../authors/author.entity.js';
import { PostChanged, PostReads } from '../channels.js';

@Controller('feed')
export class FeedController {
  constructor(private readonly pubsub: PubSubService) {}

  /** However many browsers look on, they share the one LISTEN connection of the process. */
  @Sse()
  show(): Observable<MessageEvent> {
    return this.pubsub
      .observe(Author, PostReads, PostChanged)
      .pipe(map(({ channel, payload }) => ({ type: channel, data: payload })));
  }
}
