import { Mailbox } from './mailbox.js';

export interface ServerSentEvent {
  readonly type: string;
  readonly data: unknown;
}

/**
 * A response with Server-Sent Events, read like an EventSource of a browser; aborted when disposed
 * of.
 */
export class EventStream implements AsyncDisposable {
  readonly events = new Mailbox<ServerSentEvent>();
  /** Contains one item after the server has ended the response (or the connection broke). */
  readonly end = new Mailbox<'ended' | 'broken'>();
  private readonly reading: Promise<void>;

  private constructor(
    body: ReadableStream<Uint8Array>,
    private readonly abort: AbortController,
  ) {
    this.reading = this.read(body).then(
      () => this.end.push('ended'),
      () => this.end.push('broken'),
    );
  }

  /** Resolves when the server has answered, from when on it observes. */
  static async open(url: string): Promise<EventStream> {
    const abort = new AbortController();
    const response = await fetch(url, { headers: { accept: 'text/event-stream' }, signal: abort.signal });
    if (!response.ok || response.body === null) throw new Error(`${url} answered ${response.status}`);
    return new EventStream(response.body, abort);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.abort.abort();
    await this.reading;
  }

  private async read(body: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    let text = '';
    for await (const chunk of body) {
      text += decoder.decode(chunk, { stream: true });
      const blocks = text.split('\n\n');
      text = blocks.pop() ?? '';
      for (const block of blocks) if (block.trim() !== '') this.events.push(parseEvent(block));
    }
  }
}

function parseEvent(block: string): ServerSentEvent {
  const fields = new Map(
    block
      .trim()
      .split('\n')
      .map((line) => {
        const [name = '', ...value] = line.split(': ');
        return [name, value.join(': ')];
      }),
  );
  return { type: fields.get('event') ?? 'message', data: JSON.parse(fields.get('data') ?? 'null') };
}
