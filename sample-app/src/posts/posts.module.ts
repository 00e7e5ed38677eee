import { Module } from '@nestjs/common';
import { PostCache } from './post-cache.service.js';
import { PostsController } from './posts.controller.js';
import { PostsService } from './posts.service.js';

@Module({ controllers: [PostsController], providers: [PostsService, PostCache] })
export class PostsModule {}
