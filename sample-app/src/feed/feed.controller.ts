import { Controller, Sse, type MessageEvent } from '@nestjs/common';
import { PubSubService } from 'nestjs-pgpubsub';
import { map, type Observable } from 'rxjs';
import { PostChanged } from '../channels.js';
import { Post } from '../posts/post.entity.js';
import { ReadsPerDay } from '../reads/reads-per-day.entity.js';
import { FrontPageService } from './front-page.service.js';

@Controller('feed')
export class FeedController {
  constructor(
    private readonly pubsub: PubSubService,
    private readonly frontPage: FrontPageService,
  ) {}

  /** Streams notifications. All browsers share the LISTEN connection of the process. */
  @Sse()
  show(): Observable<MessageEvent> {
    return this.pubsub
      .observe<object>('author_feed', Post, ReadsPerDay, PostChanged)
      .pipe(map(({ channel, payload }) => ({ type: channel, data: payload })));
  }

  /** Streams the complete state of the page whenever it changes. */
  @Sse('front-page')
  showFrontPage(): Observable<MessageEvent> {
    return this.frontPage.state$.pipe(map((data) => ({ data })));
  }
}
