import type { ArgumentsHost } from '@nestjs/common';
import { isObservable, lastValueFrom } from 'rxjs';

/**
 * The result of an exception filter, or of its Promise or Observable, that acknowledges a
 * notification although its listener failed. A registered symbol, so that copies of this package
 * agree.
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

/** Called with the error that an exception filter threw itself. */
export type ReportFilterFailure = (failure: unknown, host: ArgumentsHost) => void;

/** The used part of Nest's `ExternalExceptionFilterContext`; the same in Nest 11 and 12. */
export interface FiltersContextCreator {
  create(...args: unknown[]): {
    /** Returns `null` or `undefined` when no filter matches the error. */
    invokeCustomFilters(error: unknown, host: ArgumentsHost): unknown;
  };
}

interface ExceptionsHandler {
  next(error: unknown, host: ArgumentsHost): Promise<void>;
}

/**
 * Replaces Nest's rule that an error is handled when a filter returns anything. Most filters are
 * written for HTTP: they answer a request, or crash because there is none. Here the call of the
 * listener rejects with the error that the filters received, unless one of them returns
 * {@link ACKNOWLEDGED}. Nest does not log the error a second time.
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
          if (!Object.is(failure, error)) report(failure, host); // a filter may rethrow the error
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
