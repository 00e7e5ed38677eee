import { Module } from '@nestjs/common';
import { PostsModule } from '../posts/posts.module.js';
import { PrintingModule } from '../printing/printing.module.js';
import { ProcessesModule } from '../processes/processes.module.js';
import { FeedController } from './feed.controller.js';
import { FrontPageService } from './front-page.service.js';

@Module({
  imports: [PostsModule, PrintingModule, ProcessesModule],
  controllers: [FeedController],
  providers: [FrontPageService],
})
export class FeedModule {}
