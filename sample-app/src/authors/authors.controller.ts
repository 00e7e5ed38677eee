import { Body, Controller, Post } from '@nestjs/common';
import { z } from 'zod';
import { text } from '../text.schema.js';
import type { Author } from './author.entity.js';
import { AuthorsService } from './authors.service.js';

const NewAuthor = z.object({ name: text(100) });
const NewAuthors = z.object({ count: z.int().min(1).max(10_000) });

@Controller('authors')
export class AuthorsController {
  constructor(private readonly authors: AuthorsService) {}

  @Post()
  create(@Body({ schema: NewAuthor }) { name }: z.infer<typeof NewAuthor>): Promise<Author> {
    return this.authors.create(name);
  }

  @Post('crowds')
  async createMany(
    @Body({ schema: NewAuthors }) { count }: z.infer<typeof NewAuthors>,
  ): Promise<{ inserted: number }> {
    return { inserted: await this.authors.createMany(count) };
  }
}
