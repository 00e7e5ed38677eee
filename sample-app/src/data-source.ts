import { withPgPubSub } from 'nestjs-pgpubsub';
import { DataSource } from 'typeorm';
import { Author } from './authors/author.entity.js';
import { CreateAuthorsAndPosts1795227273975 } from './migrations/1795227273975-create-authors-and-posts.js';
import { NotifyAuthorChanges1795233534017 } from './migrations/1795233534017-notify-author-changes.js';
import { Post } from './posts/post.entity.js';
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
    entities: [Author, Post],
    migrations: [CreateAuthorsAndPosts1795227273975, NotifyAuthorChanges1795233534017],
    migrationsRun: true,
  }),
);
