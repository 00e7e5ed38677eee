import type { Publisher } from '../publishing/publisher.js';

/** Knows what the application is sending, also where nobody waits for it. Owned by the parts of one instance. */
export class TrackedPublisher implements Pick<Publisher, 'publish'> {
  private readonly calls = new Set<Promise<void>>();

  constructor(private readonly publisher: Pick<Publisher, 'publish'>) {}

  publish(...sent: Parameters<Publisher['publish']>): Promise<void> {
    const result = this.publisher.publish(...sent);
    const call: Promise<void> = result
      .catch(() => undefined) // who has sent it is told
      .finally(() => this.calls.delete(call));
    this.calls.add(call);
    return result;
  }

  get isSending(): boolean {
    return this.calls.size > 0;
  }

  async whenSent(): Promise<void> {
    await Promise.all(this.calls);
  }
}
