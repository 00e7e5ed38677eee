import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Author } from './author.entity.js';

@Injectable()
export class AuthorsService {
  constructor(private readonly dataSource: DataSource) {}

  /** The author and, by the table's triggers, the notifications: all of them or none. */
  create(name: string): Promise<Author> {
    return this.dataSource.manager.save(Author, { name });
  }

  /** In one statement. */
  async createMany(count: number): Promise<number> {
    const authors = Array.from({ length: count }, (_, index) => ({ name: `Reporter ${index + 1}` }));
    await this.dataSource.manager.insert(Author, authors);
    return count;
  }
}
