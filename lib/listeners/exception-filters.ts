import type { ArgumentsHost } from '@nestjs/common';
import { isObservable, lastValueFrom } from 'rxjs';

/**
 * An exception filter returns this, or a Promise or Observable of it, to acknowledge the notification although its
 * listener failed. A registered symbol, so that two copies of this package agree.
 *
 * ```ts
 * @Catch(OrderNotFound)
 * class IgnoresMissingOrders implements ExceptionFilter {
 *   catch() {
 *     return ACKNOWLEDGED;
 *   }
 * }
 * ```
 */
export const ACKNOWLEDGED: unique symbol = Symbol.for('nestjs-pgpubsub:acknowledged');

/** Called with what an exception filter threw, in place of dealing with the error of the listener. */
export type ReportFilterFailure = (failure: unknown, host: ArgumentsHost) => void;

/** The part of Nest's `ExternalExceptionFilterContext` that is called here; the same in Nest 11 and 12. */
export interface FiltersContextCreator {
  create(...args: unknown[]): {
    /** Returns `null` or `undefined` when no filter is for this error. */
    invokeCustomFilters(error: unknown, host: ArgumentsHost): unknown;
  };
}

interface ExceptionsHandler {
  next(error: unknown, host: ArgumentsHost): Promise<void>;
}

/**
 * Replaces Nest's rule that a filter has handled an error when it returns anything. Filters are mostly written for
 * HTTP: they answer a request, or crash because there is none. Here the call of the listener rejects with the error
 * that the filters were given, unless one of them returns {@link ACKNOWLEDGED}. Nest does not log the error a second
 * time.
 */
export const keepErrors = (filters: FiltersContextCreator, report: ReportFilterFailure) => ({
  create(...args: unknown[]): ExceptionsHandler {
    const handler = filters.create(...args);
    return {
      async next(error, host) {
        try {
          const returned = await valueOf(handler.invokeCustomFilters(error, host));
          if (returned === ACKNOWLEDGED) return;
        } catch (failure) {
          if (!Object.is(failure, error)) report(failure, host); // a filter may pass the error on
        }
        throw error;
      },
    };
  },
});

async function valueOf(returned: unknown): Promise<unknown> {
  const value = await returned;
  return isObservable(value) ? lastValueFrom(value, { defaultValue: undefined }) : value;
}
