import { Injectable } from '@nestjs/common';
import { OnInsert, type EntityChange, type Notification } from 'nestjs-pgpubsub';
import { Author } from '../authors/author.entity.js';
import { Post } from './post.entity.js';

/** Every author has a first post, whoever inserted the author, and whichever process finds time to write it. */
@Injectable()
export class FirstPost {
  @OnInsert(Author)
  async createFirstPost(
    { new: author }: EntityChange<Author>,
    { manager }: Notification<EntityChange<Author>>,
  ): Promise<void> {
    if (!author) return; // which rows too large for a broadcast may be, and nothing that is stored
    const content = `Welcome! This is the first post of ${author.name}.`;
    await manager.insert(Post, { authorId: author.id, content }); // commits with the acknowledgement
  }
}
