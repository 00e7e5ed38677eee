/** How a greeting was sent. A greeting that is rolled back must not arrive. */
export type Way = 'pool' | 'transaction' | 'rolled back';

export interface Greeting {
  readonly from: string;
  readonly way: Way;
}

/** A message to the test: ready, or a greeting received by `@Listener` or by `observe()`. */
export type Report =
  | { readonly type: 'ready' }
  | ({ readonly type: 'handled' | 'observed'; readonly sender: unknown } & Greeting);

export const report = (message: Report): void => void process.send?.(message);
