import type { INestApplication, ModuleMetadata } from '@nestjs/common';
import { WsAdapter } from '@nestjs/platform-ws';
import { Test } from '@nestjs/testing';
import { TypeOrmModule } from '@nestjs/typeorm';
import { PgPubSubModule, PubSubService, withPgPubSub } from 'nestjs-pgpubsub';
import { DataSource } from 'typeorm';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { EventStream, type ServerSentEvent } from '../../support/event-stream.js';
import { Mailbox, eventually } from '../../support/mailbox.js';
import { useDatabase } from '../../support/use-database.js';
import { Auction, AuctionsController, BidMade, BidsGateway } from './live-pages.app.js';
import { follow } from './live-pages.client.js';

const SILENT = { log() {}, warn() {}, error() {} };

const database = useDatabase();
let app: INestApplication;
let origin: string;

afterEach(() => app.close());

async function start(parts: Pick<ModuleMetadata, 'controllers' | 'providers'>): Promise<void> {
  const source = new DataSource({
    type: 'postgres',
    url: database.url,
    entities: [Auction],
    synchronize: true,
  });
  const module = await Test.createTestingModule({
    imports: [
      TypeOrmModule.forRootAsync({
        useFactory: () => source.options,
        dataSourceFactory: () => Promise.resolve(withPgPubSub(source)),
      }),
      PgPubSubModule.forRoot(),
    ],
    ...parts,
  })
    .setLogger(SILENT)
    .compile();
  app = module.createNestApplication({ forceCloseConnections: true });
  app.useWebSocketAdapter(new WsAdapter(app));
  await app.listen(0, '127.0.0.1');
  origin = await app.getUrl();
}

const startAll = () => start({ controllers: [AuctionsController], providers: [BidsGateway] });

/** A page that watches the bids of one auction. */
class Watcher implements AsyncDisposable {
  readonly messages = new Mailbox<unknown>();

  private constructor(private readonly socket: WebSocket) {
    socket.on('message', (data: Buffer) => this.messages.push(JSON.parse(data.toString('utf8'))));
  }

  static async open(auctionId: number): Promise<Watcher> {
    const socket = new WebSocket(origin.replace('http', 'ws'));
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    socket.send(JSON.stringify({ event: 'watch', data: { auctionId } }));
    return new Watcher(socket);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.socket.once('close', resolve));
    this.socket.close();
    await closed;
  }
}

/** Whether the last statement of the LISTEN connection starts with this text. */
const lastOfListening = (begin: string) => async () => {
  const sql = `select query from pg_stat_activity where datname = $1 and application_name like '%:listen'`;
  const [row] = await database.query<{ query: string }>(sql, [database.name]);
  return row?.query.toLowerCase().startsWith(begin) ?? false;
};

/**
 * Bids until a watcher has received a bid: its message may still be on its way when the socket is
 * open.
 */
async function bidUntilHeard(watcher: Watcher, auctionId: number): Promise<void> {
  await eventually(async () => {
    await app.get(PubSubService).notify(BidMade, { auctionId, amount: 1 });
    return watcher.messages.all.length > 0;
  }, 'the watcher hears');
}

/** An EventSource of a browser that receives the given events. */
class Source {
  static last: Source | undefined;
  onopen: (() => void) | null = null;
  private readonly listeners = new Map<string, (event: { data: string }) => void>();

  constructor(readonly url: string) {
    Source.last = this;
  }

  addEventListener(type: string, listener: (event: { data: string }) => void): void {
    this.listeners.set(type, listener);
  }

  hear({ type, data }: ServerSentEvent): void {
    this.listeners.get(type)?.({ data: JSON.stringify(data) });
  }
}

describe('the pages of docs/guides/live-pages.md', () => {
  it('miss no change, because their process listens before the first page opens', async () => {
    await startAll();
    const { connection } = await app.get(PubSubService).status();
    expect(connection).toMatchObject({ state: 'listening', channels: ['auction', 'bid_made'] });
  });

  it('show events in the browser', async () => {
    await startAll();
    const seen: unknown[] = [];
    follow(Source, {
      load: () => seen.push('load'),
      show: (auction) => seen.push(auction),
      raise: (bid) => seen.push(bid),
    });
    const source = Source.last;
    await using stream = await EventStream.open(`${origin}${source?.url}`);
    source?.onopen?.();
    await database.query(`insert into auction (item) values ('a table')`);
    source?.hear(await stream.events.next());
    await app.get(PubSubService).notify(BidMade, { auctionId: 1, amount: 5 });
    source?.hear(await stream.events.next());
    await database.terminateListeners();
    source?.hear(await stream.events.next());

    expect(seen).toEqual([
      'load',
      { id: expect.any(Number) as unknown, item: 'a table' },
      { auctionId: 1, amount: 5 },
      'load',
    ]);
  });

  it('receive changes by SQL and notifications', async () => {
    await startAll();
    await using stream = await EventStream.open(`${origin}/auctions/live`);
    await database.query(`insert into auction (item) values ('a chair')`);
    await expect(stream.events.next()).resolves.toMatchObject({
      type: 'auction',
      data: { operation: 'insert', new: { item: 'a chair' } },
    });
    await app.get(PubSubService).notify(BidMade, { auctionId: 1, amount: 5 });
    await expect(stream.events.next()).resolves.toEqual({
      type: 'bid_made',
      data: { auctionId: 1, amount: 5 },
    });
  });

  it('receive gaps', async () => {
    await startAll();
    await using stream = await EventStream.open(`${origin}/auctions/live`);
    await database.terminateListeners();
    await stream.events.find(({ type }) => type === 'gap');
  });

  it('watch one auction each over a WebSocket, and stop listening when they close', async () => {
    await start({ providers: [BidsGateway] }); // nothing else listens
    {
      await using watcher = await Watcher.open(7);
      await bidUntilHeard(watcher, 7);
      await app.get(PubSubService).notify(BidMade, { auctionId: 8, amount: 2 });
      await app.get(PubSubService).notify(BidMade, { auctionId: 7, amount: 3 });
      await watcher.messages.find((message) => JSON.stringify(message).includes('"amount":3'));
      const heard = watcher.messages.all as { event: string; data: { auctionId: number } }[];
      expect(new Set(heard.map(({ event, data }) => `${event} ${data.auctionId}`))).toEqual(
        new Set(['bid 7']),
      );
    }
    await eventually(lastOfListening('unlisten "bid_made"'), 'nobody is listened for any more');
  });

  it('share one LISTEN connection', async () => {
    await startAll();
    const streams = await Promise.all(
      Array.from({ length: 20 }, () => EventStream.open(`${origin}/auctions/live`)),
    );
    await app.get(PubSubService).notify(BidMade, { auctionId: 1, amount: 9 });
    for (const { events } of streams) await events.next();
    await expect(database.listenSessions()).resolves.toBe(1);
    for (const stream of streams) await stream[Symbol.asyncDispose]();
  });
});
