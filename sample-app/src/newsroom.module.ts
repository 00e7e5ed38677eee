import { Module, StandardSchemaValidationPipe } from '@nestjs/common';
import { APP_PIPE } from '@nestjs/core';
import { TypeOrmModule } from '@nestjs/typeorm';
import { AuthorsModule } from './authors/authors.module.js';
import { dataSource } from './data-source.js';
import { FeedModule } from './feed/feed.module.js';
import { HealthModule } from './health/health.module.js';
import { PageModule } from './page/page.module.js';
import { PostsModule } from './posts/posts.module.js';
import { PrintingModule } from './printing/printing.module.js';
import { ProcessesModule } from './processes/processes.module.js';
import { ReadsModule } from './reads/reads.module.js';

/**
 * The application without `PgPubSubModule`, whose options depend on the kind of process:
 * `app.module.ts`.
 */
@Module({
  imports: [
    TypeOrmModule.forRootAsync({
      useFactory: () => dataSource.options,
      dataSourceFactory: () => Promise.resolve(dataSource),
    }),
    AuthorsModule,
    PostsModule,
    ReadsModule,
    PrintingModule,
    ProcessesModule,
    FeedModule,
    HealthModule,
    PageModule,
  ],
  // Requests are validated by the schemas of their parameters, payloads of notifications by those
  // of their channels.
  providers: [{ provide: APP_PIPE, useClass: StandardSchemaValidationPipe }],
})
export class NewsroomModule {}
