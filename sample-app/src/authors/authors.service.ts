import { Injectable } from '@nestjs/common';
import { PubSubService } from 'nestjs-pgpubsub';
import { DataSource } from 'typeorm';
import { AuthorFeed } from '../channels.js';
import { Post } from '../posts/post.entity.js';
import { Author } from './author.entity.js';

@Injectable()
export class AuthorsService {
  constructor(
    private readonly dataSource: DataSource,
    private readonly pubsub: PubSubService,
  ) {}

  /** The author, the first post and the notification: all of them or, when anything fails, none. */
  create(name: string): Promise<{ author: Author; post: Post }> {
    return this.dataSource.transaction(async (manager) => {
      const author = await manager.save(Author, { name });
      const content = `Welcome! This is the first post of ${name}.`;
      const post = await manager.save(Post, { authorId: author.id, content });
      await this.pubsub.notify(AuthorFeed, { authorId: author.id, name, postId: post.id }, { manager });
      return { author, post };
    });
  }
}
