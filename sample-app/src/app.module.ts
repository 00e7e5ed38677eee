import { Module } from '@nestjs/common';
import { PgPubSubModule } from 'nestjs-pgpubsub';
import { PostChanged } from './channels.js';
import { NewsroomModule } from './newsroom.module.js';

/** A process that serves pages and runs every listener. */
@Module({
  imports: [
    NewsroomModule,
    PgPubSubModule.forRoot({ globalEnhancers: true }), // for the global HandlingInterceptor
  ],
})
export class AppModule {}

/**
 * A web process beside those of `pgpubsub listen`. Its cache listens to `PostChanged`; the other
 * processes handle the stored notifications.
 */
@Module({
  imports: [NewsroomModule, PgPubSubModule.forRoot({ listen: [PostChanged], globalEnhancers: true })],
})
export class WebModule {}
