import type { IncomingMessage, ServerResponse } from 'node:http';
import { Controller, Get, Header, NotFoundException, Param, Req, Res } from '@nestjs/common';
import { settings } from '../settings.js';
import { ASSETS, TEMPLATE } from './page.assets.js';

/** The page loads nothing from other hosts, and no text that it shows can run as a script. */
const POLICY = [
  "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self' data:",
  "base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'",
].join('; '); // prettier-ignore

@Controller()
export class PageController {
  @Get()
  @Header('content-type', 'text/html; charset=utf-8')
  @Header('content-security-policy', POLICY)
  show(@Req() { socket }: IncomingMessage): string {
    return render({ url: `http://localhost:${socket.localPort}`, databaseAddress: settings.databaseAddress });
  }

  @Get('page/:file')
  load(@Param('file') file: string, @Res({ passthrough: true }) response: ServerResponse): string {
    const asset = ASSETS.get(file);
    if (asset === undefined) throw new NotFoundException(`file ${file} does not exist`);
    response.setHeader('content-type', asset.type);
    response.setHeader('cache-control', 'no-cache'); // revalidated by ETag
    return asset.content;
  }
}

const render = (values: Readonly<Record<string, string>>): string =>
  TEMPLATE.replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) => escape(values[name] ?? ''));

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

const escape = (text: string): string => text.replaceAll(/[&<>"]/g, (character) => ENTITIES[character] ?? '');
