import { Controller, Sse, type MessageEvent } from '@nestjs/common';
import {
  MessageBody,
  SubscribeMessage,
  WebSocketGateway,
  type WsResponse,
} from '@nestjs/websockets';
import {
  Listener,
  NotifyChanges,
  OnChange,
  PubSubService,
  defineChannel,
  type EntityChange,
} from 'nestjs-pgpubsub';
import { filter, map, merge, type Observable } from 'rxjs';
import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm';

/** The code of docs/guides/live-pages.md. */

@Entity()
@NotifyChanges()
export class Auction {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column('text')
  item!: string;
}

export interface Bid {
  readonly auctionId: number;
  readonly amount: number;
}

export const BidMade = defineChannel<Bid>('bid_made');

@Controller('auctions')
export class AuctionsController {
  constructor(private readonly pubsub: PubSubService) {}

  @Sse('live')
  live(): Observable<MessageEvent> {
    const changes = this.pubsub.observe<EntityChange<Auction> | Bid>(
      Auction,
      BidMade,
    );
    return merge(
      changes.pipe(
        map(({ channel, payload }) => ({ type: channel, data: payload })),
      ),
      this.pubsub.gaps$.pipe(map(() => ({ type: 'gap', data: {} }))),
    );
  }

  @OnChange(Auction)
  @Listener(BidMade)
  listen(): void {} // the process listens from its start
}

@WebSocketGateway()
export class BidsGateway {
  constructor(private readonly pubsub: PubSubService) {}

  @SubscribeMessage('watch')
  watch(
    @MessageBody('auctionId') auctionId: number,
  ): Observable<WsResponse<Bid>> {
    return this.pubsub.observe(BidMade).pipe(
      filter(({ payload }) => payload.auctionId === auctionId),
      map(({ payload }) => ({ event: 'bid', data: payload })),
    );
  }
}
