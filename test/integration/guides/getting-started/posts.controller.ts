import { Body, Controller, Logger, Param, Patch } from '@nestjs/common';
import {
  Listener,
  OnInsert,
  PubSubService,
  defineChannel,
  type EntityChange,
  type Notification,
} from 'nestjs-pgpubsub';
import { DataSource } from 'typeorm';
import { Author, Post } from './entities.js';

const PostChanged = defineChannel<{ id: string }>('post_changed');

@Controller('posts')
export class PostsController {
  constructor(
    private readonly dataSource: DataSource,
    private readonly pubsub: PubSubService,
  ) {}

  @Patch(':id')
  async update(@Param('id') id: string, @Body('content') content: string) {
    await this.dataSource.transaction(async (manager) => {
      await manager.update(Post, id, { content });
      await this.pubsub.notify(PostChanged, { id }, { manager });
    });
  }

  @Listener(PostChanged)
  changed({ id }: { id: string }) {
    Logger.log(`post ${id} has changed`);
  }

  @OnInsert(Author)
  async welcome(
    { new: author }: EntityChange<Author>,
    { manager }: Notification,
  ) {
    if (!author) return;
    await manager.insert(Post, { content: `Welcome, ${author.name}!` });
    Logger.log(`welcomed ${author.name}`);
  }
}
