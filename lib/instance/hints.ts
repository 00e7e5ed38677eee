import type { Subscription } from 'rxjs';
import type { Workers } from '../claims/workers.js';
import { HINT_CHANNEL } from '../storage/storage.sql.js';
import type { TransportConnection } from './transport.js';

export interface HintsOptions {
  readonly connection: () => Pick<TransportConnection, 'state' | 'state$' | 'listen'>;
  readonly workers: () => Pick<Workers, 'isEmpty' | 'hint' | 'wakeAll'>;
  /** Called when settings of channels have changed that apply to all processes. */
  readonly settingsChanged: () => void;
}

/**
 * Receives the hints of an instance: notifications on the library's own channel. A hint holds the
 * name of a channel with new rows, or nothing when settings of channels have changed. Owned by the
 * instance.
 */
export class Hints {
  private states: Subscription | undefined;

  constructor(private readonly options: HintsOptions) {}

  /** Whether a hint that is sent now arrives. Without hints, workers poll. */
  get areReceived(): boolean {
    return this.options.connection().state === 'listening';
  }

  /** Listens for hints if this process handles stored notifications. */
  listen(): void {
    if (!this.options.workers().isEmpty) this.options.connection().listen(HINT_CHANNEL, { first: true });
  }

  /** Wakes the worker of the hinted channel. Called on pg's stack: must not throw. */
  receive({ channel, text }: { readonly channel: string; readonly text: string }): void {
    if (channel !== HINT_CHANNEL) return;
    if (text === '') queueMicrotask(this.options.settingsChanged);
    else this.options.workers().hint(text);
  }

  /** Wakes all workers at each change of the connection: hints were missed, or will be. */
  follow(): void {
    this.states = this.options.connection().state$.subscribe(() => this.options.workers().wakeAll());
  }

  stop(): void {
    this.states?.unsubscribe();
  }
}
