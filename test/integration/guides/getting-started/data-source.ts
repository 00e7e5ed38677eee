import { withPgPubSub } from 'nestjs-pgpubsub';
import { DataSource } from 'typeorm';
import { Author } from './author.entity.js';
import { Post } from './post.entity.js';

export const dataSource = withPgPubSub(
  new DataSource({
    type: 'postgres',
    url: process.env['DATABASE_URL'] ?? 'postgres://postgres:postgres@localhost:5432/postgres',
    entities: [Author, Post],
    migrations: [`${import.meta.dirname}/migrations/*.js`],
  }),
);
