import { Subject, type Observable } from 'rxjs';
import type { DataSource } from 'typeorm';
import type { ConnectionState, Gap } from '../common/events.js';
import { ConnectionStates, type ConnectionSnapshot } from '../connection/connection-states.js';
import type { ListenConnectionOptions } from '../connection/listen-connection.js';
import type { RawNotification } from '../channels/notification.js';
import type { TransportConnection, Transport } from '../instance/transport.js';
import type { OutgoingBroadcast, OutgoingStored } from '../publishing/outgoing.js';
import { broadcastStatement, type Statement, type Statements } from '../publishing/statements.js';
import type { EntityChannels } from '../triggers/entity-channels.js';

/** The values of `notification.processId` for the application and for the test. */
export const APPLICATION_PROCESS = 1;
export const TEST_PROCESS = 2;

export interface LoopbackOptions {
  /** Called before a delivery on this channel. */
  readonly delivering: (channel: string) => void;
  /** Called for each notification that the application sends. */
  readonly sent: (message: OutgoingBroadcast | OutgoingStored) => void;
  readonly loadEntities: (dataSource: DataSource) => Promise<EntityChannels>;
}

/**
 * A transport without a database, owned by one instance. Broadcasts come back as text, as from the
 * server; stored notifications are only recorded.
 */
export class Loopback implements Transport {
  readonly hasDatabase = false;
  private readonly link = new LoopbackConnection();

  constructor(private readonly options: LoopbackOptions) {}

  /** Whether the application has been started and is not closed yet. */
  get isOpen(): boolean {
    return this.link.state !== 'closed';
  }

  createConnection({ receive }: ListenConnectionOptions): TransportConnection {
    this.link.receive = receive;
    return this.link;
  }

  createStatements(): Statements {
    const { sent } = this.options;
    const broadcast = this.deliveryFrom(APPLICATION_PROCESS);
    return {
      broadcast: {
        ...broadcast,
        execute: (executor, messages) => {
          for (const message of messages) sent(message);
          // no deadline: without a database there is nothing to wait for
          return broadcast.execute(executor, messages);
        },
      },
      stored: {
        countTogether: (calls) => calls.length,
        execute: (_executor, messages) => {
          for (const message of messages) sent(message);
          return Promise.resolve();
        },
      },
    };
  }

  loadEntities(dataSource: DataSource): Promise<EntityChannels> {
    return this.options.loadEntities(dataSource);
  }

  /** PostgreSQL delivers equal notifications of a transaction once. */
  deliveryFrom(processId: number): Statement<OutgoingBroadcast> {
    return {
      countTogether: (calls) => broadcastStatement.countTogether(calls),
      execute: (_executor, messages) => {
        const different = new Map(
          messages.map((message) => [JSON.stringify([message.channel, message.text]), message]),
        );
        for (const { channel, text } of different.values()) this.deliver({ channel, text, processId });
        return Promise.resolve();
      },
    };
  }

  deliver(notification: RawNotification): void {
    this.options.delivering(notification.channel);
    this.link.receive(notification);
  }

  interrupt(gap: Omit<Gap, 'channels'>): void {
    this.link.interrupt(gap);
  }
}

class LoopbackConnection implements TransportConnection {
  private readonly states = new ConnectionStates();
  private readonly gaps = new Subject<Gap>();
  private readonly channels = new Set<string>();
  readonly state$: Observable<ConnectionState> = this.states.state$;
  readonly gaps$: Observable<Gap> = this.gaps.asObservable();
  receive: (notification: RawNotification) => void = () => undefined;

  get state(): ConnectionState {
    return this.states.current;
  }

  snapshot(): ConnectionSnapshot {
    return this.states.snapshot([...this.channels], null);
  }

  start(): Promise<void> {
    this.startWhenWanted();
    return Promise.resolve();
  }

  startWhenWanted(): void {
    this.states.enter('listening');
  }

  listen(channel: string): void {
    this.channels.add(channel);
  }

  unlisten(channel: string): void {
    this.channels.delete(channel);
  }

  isListenPending(): boolean {
    return false;
  }

  whenListening(): Promise<void> {
    return Promise.resolve();
  }

  interrupt(gap: Omit<Gap, 'channels'>): void {
    this.gaps.next({ channels: [...this.channels], ...gap });
  }

  reopenNow(): void {
    // never lost
  }

  stopReopening(): void {
    // never lost
  }

  stop(): Promise<void> {
    this.states.complete();
    this.gaps.complete();
    return Promise.resolve();
  }
}
