import { withPgPubSub } from 'nestjs-pgpubsub';
import { DataSource } from 'typeorm';
import { Author } from './authors/author.entity.js';
import { PostReads, Printing } from './channels.js';
import { CreateAuthorsAndPosts1795227273975 } from './migrations/1795227273975-create-authors-and-posts.js';
import { NotifyChanges1795233534017 } from './migrations/1795233534017-notify-changes.js';
import { Post } from './posts/post.entity.js';
import { Edition } from './printing/edition.entity.js';
import { Handling } from './processes/handling.entity.js';
import { ReadsPerDay } from './reads/reads-per-day.entity.js';
import { settings } from './settings.js';

/**
 * The database, for the application and for TypeORM's command line. To generate a migration for
 * changed entities from the built file:
 *
 * ```sh
 * npm run build:sample
 * npx typeorm migration:generate sample-app/src/migrations/<name> -d sample-app/dist/data-source.js
 * ```
 */
export const dataSource = withPgPubSub(
  new DataSource({
    type: 'postgres',
    url: settings.databaseUrl,
    applicationName: `newsroom ${settings.role} ${settings.processName}`, // shown on the page
    entities: [Author, Post, ReadsPerDay, Handling, Edition],
    migrations: [CreateAuthorsAndPosts1795227273975, NotifyChanges1795233534017],
    migrationsRun: true,
  }),
  { channels: [PostReads, Printing] },
);
