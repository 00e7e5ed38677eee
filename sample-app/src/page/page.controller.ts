import type { IncomingMessage } from 'node:http';
import { Controller, Get, Header, Req } from '@nestjs/common';
import { PostChanged } from '../channels.js';
import { settings } from '../settings.js';
import { renderPage } from './page.html.js';

@Controller()
export class PageController {
  @Get()
  @Header('content-type', 'text/html; charset=utf-8')
  show(@Req() { socket }: IncomingMessage): string {
    const url = `http://localhost:${socket.localPort}`;
    return renderPage(url, settings.databaseUrl, ['author_feed', 'post', 'reads_per_day', PostChanged.name]);
  }
}
