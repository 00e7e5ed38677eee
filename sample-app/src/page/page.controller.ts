import type { IncomingMessage } from 'node:http';
import { Controller, Get, Header, Req } from '@nestjs/common';
import { FEED_CHANNELS } from '../channels.js';
import { renderPage } from './page.html.js';

@Controller()
export class PageController {
  @Get()
  @Header('content-type', 'text/html; charset=utf-8')
  show(@Req() { socket }: IncomingMessage): string {
    const url = `http://localhost:${socket.localPort}`;
    return renderPage(
      url,
      FEED_CHANNELS.map(({ name }) => name),
    );
  }
}
