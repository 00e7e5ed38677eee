import type { Observable, Subscription } from 'rxjs';
import type { Gap, ReportEvent } from '../common/events.js';
import type { GapHandler } from '../listeners/listener.definition.js';

/** Calls the `@OnGap()` methods of an instance. Owned by the instance; ends with `stop()`. */
export class GapHandlers {
  private readonly subscriptions: Subscription[] = [];
  private readonly calls = new Set<Promise<unknown>>();

  constructor(
    private readonly gaps$: Observable<Gap>,
    private readonly report: ReportEvent,
  ) {}

  attach({ name, invoke }: GapHandler): void {
    const subscription = this.gaps$.subscribe((gap) => {
      const call: Promise<unknown> = invoke(gap)
        .catch((error: unknown) => this.report({ type: 'gap-handler-failed', listener: name, error }))
        .then(() => this.calls.delete(call));
      this.calls.add(call);
    });
    this.subscriptions.push(subscription);
  }

  get pending(): Promise<unknown>[] {
    return [...this.calls];
  }

  stop(): void {
    for (const subscription of this.subscriptions) subscription.unsubscribe();
  }
}
