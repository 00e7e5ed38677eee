import { Module } from '@nestjs/common';
import { FirstPost } from './first-post.service.js';
import { PostCache } from './post-cache.service.js';
import { PostsController } from './posts.controller.js';
import { PostsService } from './posts.service.js';

@Module({
  controllers: [PostsController],
  providers: [PostsService, PostCache, FirstPost],
  exports: [PostCache],
})
export class PostsModule {}
