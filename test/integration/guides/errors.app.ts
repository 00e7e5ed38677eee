import { Injectable } from '@nestjs/common';
import { PgPubSubError, PubSubService, defineChannel } from 'nestjs-pgpubsub';

/** The code of docs/errors.md. */

/** An article, without its text when that is too long: listeners that need it load it. */
export interface Article {
  readonly id: number;
  readonly text?: string;
}

export const ArticleChanged = defineChannel<Article>('article_changed');

@Injectable()
export class Articles {
  constructor(private readonly pubsub: PubSubService) {}

  async tell(article: Article): Promise<void> {
    try {
      await this.pubsub.notify(ArticleChanged, article);
    } catch (error) {
      if (!(error instanceof PgPubSubError)) throw error;
      if (error.code !== 'PAYLOAD_TOO_LARGE') throw error;
      await this.pubsub.notify(ArticleChanged, { id: article.id });
    }
  }
}
