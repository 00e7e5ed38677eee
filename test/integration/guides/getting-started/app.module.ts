import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { PgPubSubModule } from 'nestjs-pgpubsub';
import { dataSource } from './data-source.js';
import { PostsController } from './posts.controller.js';

@Module({
  imports: [
    TypeOrmModule.forRootAsync({
      useFactory: () => dataSource.options,
      dataSourceFactory: () => Promise.resolve(dataSource),
    }),
    PgPubSubModule.forRoot(),
  ],
  controllers: [PostsController],
})
export class AppModule {}
