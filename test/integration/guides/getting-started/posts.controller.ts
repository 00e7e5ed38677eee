import { Body, Controller, Param, ParseIntPipe, Patch } from '@nestjs/common';
import { Posts } from './posts.js';

@Controller('posts')
export class PostsController {
  constructor(private readonly posts: Posts) {}

  @Patch(':id')
  async rewrite(@Param('id', ParseIntPipe) id: number, @Body('content') content: string): Promise<void> {
    await this.posts.rewrite(id, content);
  }
}
