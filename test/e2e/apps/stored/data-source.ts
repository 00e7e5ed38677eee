import 'reflect-metadata';
import { withPgPubSub } from 'nestjs-pgpubsub';
import { DataSource } from 'typeorm';
import { channels, entities } from './storage.js';

/** For the library's own command line. */
export default withPgPubSub(
  new DataSource({ type: 'postgres', url: process.env['DATABASE_URL'] ?? '', entities }),
  {
    channels,
  },
);
