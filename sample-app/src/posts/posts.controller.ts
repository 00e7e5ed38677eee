import type { ServerResponse } from 'node:http';
import { Body, Controller, Get, NotFoundException, Param, Patch, Res } from '@nestjs/common';
import { z } from 'zod';
import { text } from '../text.schema.js';
import type { Post } from './post.entity.js';
import { PostsService } from './posts.service.js';

const PostId = z
  .string()
  .regex(/^\d{1,9}$/, 'the id of a post must be a whole number, such as 1')
  .transform(Number);
const PostChange = z.object({ content: text(10_000) });

@Controller('posts')
export class PostsController {
  constructor(private readonly posts: PostsService) {}

  @Get(':id')
  async read(
    @Param('id', { schema: PostId }) id: number,
    @Res({ passthrough: true }) response: ServerResponse,
  ): Promise<Post> {
    const found = await this.posts.read(id);
    if (found === null) throw postNotFound(id);
    response.setHeader('x-cache', found.isCached ? 'hit' : 'miss');
    return found.post;
  }

  @Patch(':id')
  async update(
    @Param('id', { schema: PostId }) id: number,
    @Body({ schema: PostChange }) { content }: z.infer<typeof PostChange>,
  ): Promise<Post> {
    const post = await this.posts.update(id, content);
    if (post === null) throw postNotFound(id);
    return post;
  }
}

const postNotFound = (id: number) => new NotFoundException(`post ${id} does not exist`);
