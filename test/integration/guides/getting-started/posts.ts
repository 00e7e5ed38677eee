import { Injectable, Logger } from '@nestjs/common';
import {
  Listener,
  OnInsert,
  PubSubService,
  defineChannel,
  type EntityChange,
  type Notification,
} from 'nestjs-pgpubsub';
import { DataSource } from 'typeorm';
import { Author } from './author.entity.js';
import { Post } from './post.entity.js';

export const PostChanged = defineChannel<{ id: number }>('post_changed');

@Injectable()
export class Posts {
  private readonly logger = new Logger(Posts.name);

  constructor(
    private readonly dataSource: DataSource,
    private readonly pubsub: PubSubService,
  ) {}

  rewrite(id: number, content: string): Promise<void> {
    return this.dataSource.transaction(async (manager) => {
      await manager.update(Post, { id }, { content });
      await this.pubsub.notify(PostChanged, { id }, { manager });
    });
  }

  @Listener(PostChanged)
  tell({ id }: { id: number }): void {
    this.logger.log(`post ${id} has changed`);
  }

  @OnInsert(Author)
  async welcome(
    { new: author }: EntityChange<Author>,
    { manager }: Notification<EntityChange<Author>>,
  ): Promise<void> {
    if (!author) return;
    await manager.insert(Post, { authorId: author.id, content: `Welcome, ${author.name}!` });
    this.logger.log(`welcomed ${author.name}`);
  }
}
