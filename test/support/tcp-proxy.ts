import net from 'node:net';
import { Messages, TERMINATED, isReady, message, typeOf } from './wire-messages.js';

/**
 * A link to the server that fails as networks, proxies and poolers do. The proxy knows the messages
 * of PostgreSQL's protocol (without TLS), so that a server session can be replaced or used without
 * the knowledge of its client.
 */
export class TcpProxy implements AsyncDisposable {
  private readonly links = new Set<Link>();
  private readonly traps = new Set<Trap>();
  private isCut = false;
  private isSwallowing = false;
  private failures = 0;

  private constructor(
    private readonly server: net.Server,
    private readonly target: URL,
  ) {}

  static async start(targetUrl: string): Promise<TcpProxy> {
    const server = net.createServer({ allowHalfOpen: true });
    const proxy = new TcpProxy(server, new URL(targetUrl));
    server.on('connection', (socket) => proxy.accept(socket));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  /** The target's address, through this proxy. */
  get url(): string {
    const url = new URL(this.target);
    url.port = String((this.server.address() as net.AddressInfo).port);
    return url.href;
  }

  /** The number of open connections. */
  get connections(): number {
    return this.links.size;
  }

  /**
   * Existing connections carry nothing any more and stay open: the senders' buffers fill up. New
   * connections work.
   */
  silence(): void {
    for (const link of this.links) link.silence();
  }

  /**
   * Existing connections stay open, and everything that is sent on them is acknowledged and
   * dropped. New ones work, unless they are swallowed, too, until `restore()`.
   */
  swallow({ andNew = false } = {}): void {
    this.isSwallowing = andNew;
    for (const link of this.links) link.isSwallowing = true;
  }

  /**
   * Holds the next message of a client that contains this text, and everything that the client
   * sends after it. Resolves when the message has arrived.
   */
  hold(text: string): Promise<HeldMessage> {
    return new Promise((caught) => this.traps.add({ text, caught }));
  }

  /** Ends `silence()`, whose bytes arrive now, and `swallow()`, whose messages are lost. */
  pass(): void {
    for (const link of this.links) link.pass();
  }

  /**
   * Closes existing connections, and new ones as they arrive, until `restore()`: the server is
   * unavailable.
   */
  cut(): void {
    this.isCut = true;
    for (const link of this.links) link.destroy();
  }

  restore(): void {
    this.isCut = false;
    this.isSwallowing = false;
  }

  /**
   * Makes that number of new connections fail in the packet that tells the client that the server
   * is ready.
   */
  failAfterReady(times: number): void {
    this.failures = times;
  }

  /** The number of failures that `failAfterReady()` still has to cause. */
  get failuresLeft(): number {
    return this.failures;
  }

  /**
   * Gives each existing connection a new server session, like a proxy that fails over; the old one
   * is closed.
   */
  async replaceUpstream(): Promise<void> {
    await Promise.all(Array.from(this.links, (link) => link.replaceUpstream()));
  }

  /**
   * Runs `sql` in the server session of each existing connection, hidden from the client, as a
   * pooler may do.
   */
  async inject(sql: string): Promise<void> {
    await Promise.all(Array.from(this.links, (link) => link.inject(sql)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const link of this.links) link.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private accept(client: net.Socket): void {
    if (this.isCut) {
      client.on('error', () => undefined).destroy();
      return;
    }
    const link = new Link(client, this.target, {
      takeFailure: () => this.failures > 0 && this.failures-- > 0,
      takeTrap: (bytes) => this.takeTrap(bytes),
      onClosed: () => this.links.delete(link),
    });
    link.isSwallowing = this.isSwallowing;
    this.links.add(link);
  }

  private takeTrap(bytes: Buffer): Trap | undefined {
    const trap = [...this.traps].find(({ text }) => bytes.includes(text));
    if (trap) this.traps.delete(trap);
    return trap;
  }
}

/** A message on its way to the server, and the control over it and its connection. */
export interface HeldMessage {
  /** Sends the message, and those after it, to the server. */
  deliver(): void;
  /** Drops everything that has not been delivered, and everything after it in both directions. */
  swallow(): void;
  /** Closes the connection on both sides. */
  cut(): void;
}

interface Trap {
  readonly text: string;
  readonly caught: (held: HeldMessage) => void;
}

interface LinkOptions {
  readonly takeFailure: () => boolean;
  readonly takeTrap: (bytes: Buffer) => Trap | undefined;
  readonly onClosed: () => void;
}

/** One client and its server session. */
class Link implements HeldMessage {
  isSwallowing = false;
  private upstream: net.Socket;
  private fromClient = new Messages({ hasStartup: true });
  private fromServer = new Messages();
  private startup: Buffer | undefined;
  private isGreeted = false;
  /**
   * The number of statements without their ReadyForQuery; the start of the session counts as one.
   */
  private running = 1;
  private readonly whenIdle = new Set<() => void>();
  /** The bytes that the client has sent after a held message, or while a hidden statement runs. */
  private held: Buffer[] | undefined;
  /** Resolves at the ReadyForQuery of the hidden statement. */
  private hiddenEnd: (() => void) | undefined;

  constructor(
    private readonly client: net.Socket,
    private readonly target: URL,
    private readonly options: LinkOptions,
  ) {
    this.upstream = this.connect();
    client.on('data', (chunk) => this.send(chunk));
    client.on('end', () => this.isSwallowing || this.upstream.end());
    client.on('error', () => undefined);
    client.on('close', () => this.upstream.destroyed && this.options.onClosed());
  }

  silence(): void {
    for (const socket of [this.client, this.upstream]) socket.pause();
  }

  pass(): void {
    this.isSwallowing = false;
    for (const socket of [this.client, this.upstream]) socket.resume();
  }

  destroy(): void {
    for (const socket of [this.client, this.upstream]) socket.destroy();
  }

  deliver(): void {
    for (const chunk of this.held ?? []) this.upstream.write(chunk);
    this.held = undefined;
  }

  swallow(): void {
    this.held = undefined;
    this.isSwallowing = true;
  }

  cut(): void {
    this.client.destroy();
    this.upstream.end(); // after the delivered bytes
  }

  replaceUpstream(): Promise<void> {
    return this.behindTheClient(() => {
      const replaced = this.upstream;
      this.fromServer = new Messages();
      this.upstream = this.connect();
      if (this.startup) this.upstream.write(this.startup);
      replaced.removeAllListeners('end').end();
    });
  }

  inject(sql: string): Promise<void> {
    return this.behindTheClient(() => this.upstream.write(message('Q', `${sql}\0`)));
  }

  private connect(): net.Socket {
    const upstream = net.connect(Number(this.target.port), this.target.hostname);
    upstream.on('data', (chunk) => upstream === this.upstream && this.receive(chunk));
    upstream.on('end', () => this.isSwallowing || this.client.end());
    upstream.on('error', () => undefined);
    upstream.on('close', () => this.closed(upstream));
    return upstream;
  }

  /**
   * Waits until no statement of the client is running, and hides the answer to the bytes that
   * `start` sends.
   */
  private async behindTheClient(start: () => void): Promise<void> {
    if (this.running > 0) await new Promise<void>((resolve) => this.whenIdle.add(resolve));
    const held: Buffer[] = (this.held = []);
    const ended = new Promise<void>((resolve) => (this.hiddenEnd = resolve));
    start();
    await ended;
    this.held = this.hiddenEnd = undefined;
    for (const chunk of held) this.upstream.write(chunk);
  }

  private closed(upstream: net.Socket): void {
    if (upstream === this.upstream && this.client.destroyed) this.options.onClosed();
  }

  private send(chunk: Buffer): void {
    const messages = this.fromClient.read(chunk);
    if (this.isSwallowing || messages.length === 0) return;
    this.startup ??= messages[0];
    this.running += messages.filter((sent) => ['Q', 'S'].includes(typeOf(sent))).length;
    const bytes = Buffer.concat(messages);
    const trap = this.options.takeTrap(bytes);
    if (trap) this.held ??= [];
    if (this.held) this.held.push(bytes);
    else this.upstream.write(bytes);
    trap?.caught(this);
  }

  private receive(chunk: Buffer): void {
    const messages = this.fromServer.read(chunk);
    if (this.isSwallowing) return;
    const seen = messages.filter((received) => this.isForClient(received));
    const isFailing = !this.isGreeted && seen.some(isReady) && this.options.takeFailure();
    this.isGreeted ||= seen.some(isReady);
    if (isFailing) seen.push(TERMINATED);
    if (seen.length > 0) this.client.write(Buffer.concat(seen));
    if (isFailing) {
      this.client.end();
      this.upstream.destroy();
    }
  }

  private isForClient(received: Buffer): boolean {
    if (this.hiddenEnd) {
      if (isReady(received)) this.hiddenEnd();
      return typeOf(received) === 'A'; // a notification is not part of the answer
    }
    if (isReady(received) && --this.running === 0) {
      for (const resolve of this.whenIdle) resolve();
      this.whenIdle.clear();
    }
    return true;
  }
}
