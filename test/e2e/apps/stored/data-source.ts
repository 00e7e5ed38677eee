import 'reflect-metadata';
import { withPgPubSub } from 'nestjs-pgpubsub';
import { DataSource } from 'typeorm';
import { channels, entities } from './storage.js';

/** The DataSource for the commands of this library. */
export default withPgPubSub(
  new DataSource({ type: 'postgres', url: process.env['DATABASE_URL'] ?? '', entities }),
  {
    channels,
  },
);
