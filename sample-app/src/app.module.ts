import { Module } from '@nestjs/common';
import { PgPubSubModule } from 'nestjs-pgpubsub';
import { PostChanged } from './channels.js';
import { NewsroomModule } from './newsroom.module.js';

@Module({
  imports: [
    NewsroomModule,
    // as it is: every listener runs in this process
    PgPubSubModule.forRoot({ globalEnhancers: true }), // for HandlingInterceptor
  ],
})
export class AppModule {}

/** For the web process beside those of `pgpubsub listen`: its cache hears of changes, what is stored is left to them. */
@Module({
  imports: [NewsroomModule, PgPubSubModule.forRoot({ listen: [PostChanged], globalEnhancers: true })],
})
export class WebModule {}
