import { withPgPubSub } from 'nestjs-pgpubsub';
import { DataSource } from 'typeorm';
import { Author } from './authors/author.entity.js';
import { PostReads } from './channels.js';
import { CreateAuthorsAndPosts1795227273975 } from './migrations/1795227273975-create-authors-and-posts.js';
import { NotifyAuthorChanges1795233534017 } from './migrations/1795233534017-notify-author-changes.js';
import { FirstPostsAndReads1795239737421 } from './migrations/1795239737421-first-posts-and-reads.js';
import { Post } from './posts/post.entity.js';
import { ReadsPerDay } from './reads/reads-per-day.entity.js';
import { settings } from './settings.js';

/**
 * The one description of the database, for the application and for TypeORM's command line alike. A migration for
 * changed entities comes from the built file:
 *
 * ```sh
 * npm run build:sample
 * npx typeorm migration:generate sample-app/src/migrations/<what-it-does> -d sample-app/dist/data-source.js
 * ```
 */
export const dataSource = withPgPubSub(
  new DataSource({
    type: 'postgres',
    url: settings.databaseUrl,
    applicationName: 'newsroom',
    entities: [Author, Post, ReadsPerDay],
    migrations: [
      CreateAuthorsAndPosts1795227273975,
      NotifyAuthorChanges1795233534017,
      FirstPostsAndReads1795239737421,
    ],
    migrationsRun: true,
  }),
  { channels: [PostReads] },
);
