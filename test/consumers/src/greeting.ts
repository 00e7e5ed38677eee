/** How a greeting was sent; those of a transaction that is rolled back must not arrive. */
export type Way = 'pool' | 'transaction' | 'rolled back';

export interface Greeting {
  readonly from: string;
  readonly way: Way;
}

/** What the test is told: who is ready, and what was received by `@Listener` or by `observe()`. */
export type Report =
  { readonly type: 'ready' } | ({ readonly type: 'heard' | 'observed'; readonly sender: unknown } & Greeting);

export const tell = (report: Report): void => void process.send?.(report);
