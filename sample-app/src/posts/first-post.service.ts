import { Injectable } from '@nestjs/common';
import { OnInsert, type EntityChange, type Notification } from 'nestjs-pgpubsub';
import { Author } from '../authors/author.entity.js';
import { Post } from './post.entity.js';

/** Writes the first post of each new author, whichever program inserted the author. */
@Injectable()
export class FirstPost {
  @OnInsert(Author)
  async createFirstPost(
    { new: author }: EntityChange<Author>,
    { manager }: Notification<EntityChange<Author>>,
  ): Promise<void> {
    if (!author) return; // missing only in broadcasts of rows that are too large
    const content = `Welcome! This is the first post of ${author.name}.`;
    await manager.insert(Post, { authorId: author.id, content }); // commits with the acknowledgement
  }
}
