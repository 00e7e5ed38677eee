import net from 'node:net';

/** A link to the server that can go silent, as a firewall that forgets a connection makes it. */
export class TcpProxy implements AsyncDisposable {
  private readonly sockets = new Set<net.Socket>();

  private constructor(
    private readonly server: net.Server,
    private readonly target: URL,
  ) {}

  static async start(targetUrl: string): Promise<TcpProxy> {
    const server = net.createServer({ allowHalfOpen: true });
    const proxy = new TcpProxy(server, new URL(targetUrl));
    server.on('connection', (socket) => proxy.connect(socket));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  /** The target's address, through here. */
  get url(): string {
    const url = new URL(this.target);
    url.port = String((this.server.address() as net.AddressInfo).port);
    return url.href;
  }

  /** Connections that exist now carry nothing any more, without being closed; new ones work. */
  silence(): void {
    for (const socket of this.sockets) socket.pause().unpipe();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private connect(client: net.Socket): void {
    const upstream = net.connect(Number(this.target.port), this.target.hostname);
    for (const socket of [client, upstream]) {
      this.sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => this.sockets.delete(socket));
    }
    client.pipe(upstream);
    upstream.pipe(client);
  }
}
