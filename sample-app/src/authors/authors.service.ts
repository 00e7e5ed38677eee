import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Author } from './author.entity.js';

@Injectable()
export class AuthorsService {
  constructor(private readonly dataSource: DataSource) {}

  /** Inserts the author. The table's triggers send the notifications in the same transaction. */
  create(name: string): Promise<Author> {
    return this.dataSource.manager.save(Author, { name });
  }

  /** Inserts that number of authors in one statement. */
  async createMany(count: number): Promise<number> {
    const authors = Array.from({ length: count }, (_, index) => ({ name: `Reporter ${index + 1}` }));
    await this.dataSource.manager.insert(Author, authors);
    return count;
  }
}
