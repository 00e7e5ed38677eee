import { withPgPubSub } from 'nestjs-pgpubsub';
import { DataSource } from 'typeorm';
import { Author, Post } from './entities.js';

export const dataSource = withPgPubSub(
  new DataSource({
    type: 'postgres',
    url: process.env['DATABASE_URL'] ?? '',
    entities: [Author, Post],
    migrations: [`${import.meta.dirname}/migrations/*.js`],
  }),
);
