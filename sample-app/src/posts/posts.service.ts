import { Injectable } from '@nestjs/common';
import { PubSubService } from 'nestjs-pgpubsub';
import { DataSource } from 'typeorm';
import { PostChanged, PostReads } from '../channels.js';
import { PostCache } from './post-cache.service.js';
import { Post } from './post.entity.js';

@Injectable()
export class PostsService {
  constructor(
    private readonly dataSource: DataSource,
    private readonly pubsub: PubSubService,
    private readonly cache: PostCache,
  ) {}

  /**
   * Returns the post and whether it came from the cache. Stores a notification of the read in the
   * same transaction.
   */
  read(id: number): Promise<{ post: Post; isCached: boolean } | null> {
    return this.dataSource.transaction(async (manager) => {
      const cached = this.cache.find(id);
      const post = await (cached ?? this.cache.add(id, manager.findOneBy(Post, { id })));
      if (post === null) return null;
      await this.pubsub.notify(PostReads, { postId: id, date: today() }, { manager });
      return { post, isCached: cached !== undefined };
    });
  }

  /** Changes the post. Every process is notified if and only if the change is committed. */
  update(id: number, content: string): Promise<Post | null> {
    return this.dataSource.transaction(async (manager) => {
      const { affected } = await manager.update(Post, { id }, { content });
      if (!affected) return null;
      await this.pubsub.notify(PostChanged, { id }, { manager });
      return manager.findOneBy(Post, { id });
    });
  }
}

const today = (): string => new Date().toISOString().slice(0, 10);
