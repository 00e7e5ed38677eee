import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Post } from '../posts/post.entity.js';
import { Author } from './author.entity.js';

@Injectable()
export class AuthorsService {
  constructor(private readonly dataSource: DataSource) {}

  /** The author, the first post and, by the table's trigger, the notification: all of them or none. */
  create(name: string): Promise<{ author: Author; post: Post }> {
    return this.dataSource.transaction(async (manager) => {
      const author = await manager.save(Author, { name });
      const content = `Welcome! This is the first post of ${name}.`;
      const post = await manager.save(Post, { authorId: author.id, content });
      return { author, post };
    });
  }
}
