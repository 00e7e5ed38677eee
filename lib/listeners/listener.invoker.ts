import { ApplicationConfig, ExternalContextCreator } from '@nestjs/core';
import { defaultIfEmpty, from, isObservable, lastValueFrom } from 'rxjs';
import type { Delivered, Invoke } from '../channels/notification.js';
import type { ReportEvent } from '../common/events.js';
import { keepErrors, type FiltersContextCreator, type ReportFilterFailure } from './exception-filters.js';
import type { ContextId, HostProvider } from './host-provider.js';
import {
  DEFAULT_ARGUMENTS,
  DEFAULT_PARAMETERS,
  NO_ARGUMENTS,
  PAYLOAD_PARAMETER,
  ROUTE_ARGUMENTS,
} from './parameters.decorator.js';

/** The result of `ExecutionContext.getType()` in the enhancers of a listener. */
export const PGPUBSUB_CONTEXT = 'pgpubsub';

type Handler = (payload: unknown, notification: Delivered) => unknown;

/** Fills the parameters; `args` is `[payload, notification]`, as in the execution context. */
const parameters = {
  exchangeKeyForValue(
    type: number,
    property: unknown,
    args: [payload: unknown, notification: Delivered],
  ): unknown {
    const [payload, notification] = args;
    if (type !== PAYLOAD_PARAMETER) return notification;
    return typeof property === 'string'
      ? (payload as Record<string, unknown> | undefined)?.[property]
      : payload;
  },
};

/** Metadata keys of `@UsePipes()` and the like, which Nest does not export. */
const PIPES = '__pipes__';
const FILTERS = '__exceptionFilters__';
const ENHANCERS = ['__guards__', '__interceptors__', PIPES, FILTERS] as const;

type Enhancer = (typeof ENHANCERS)[number];

export interface InvokerOptions {
  /** Whether global enhancers run, too. */
  readonly globalEnhancers: boolean;
  readonly report: ReportEvent;
}

interface Called {
  readonly listener: string;
  readonly channel: string;
}

/**
 * Builds the call of a listener's method through Nest's guards, pipes, interceptors and filters,
 * once per listener. Owned by the explorer; the calls live as long as the application.
 */
export class ListenerInvoker {
  constructor(
    private readonly contexts: ExternalContextCreator,
    private readonly config: ApplicationConfig,
    private readonly options: InvokerOptions,
  ) {}

  async create(host: HostProvider, method: string, called: Called): Promise<Invoke> {
    const { globalEnhancers, report } = this.options;
    const contexts = createContexts(this.contexts, globalEnhancers, (error) =>
      report({ type: 'filter-failed', ...called, error }),
    );
    if (host.isStatic) {
      const handler = this.bind(contexts, host, await host.staticInstance(), method);
      return (notification) => handler(notification.payload, notification);
    }
    return async (notification) => {
      const { instance, contextId } = await host.requestInstance(notification);
      return this.bind(contexts, host, instance, method, contextId)(notification.payload, notification);
    };
  }

  private bind(
    contexts: ExternalContextCreator,
    host: HostProvider,
    instance: object,
    method: string,
    contextId?: ContextId,
  ): Handler {
    const callback = (instance as Record<string, (...args: unknown[]) => unknown>)[method]; // the explorer found it there
    if (callback === undefined)
      throw new TypeError(`expected ${host.className} to have the method "${method}"`);
    if (this.isPlain(host, callback, method)) return plainCall(instance, callback);
    // Without a filter no error needs handling: the call rejects with it, one Promise earlier.
    const enhancers = {
      guards: true,
      interceptors: true,
      filters: this.hasEnhancers(FILTERS, host, callback),
    };
    const metadataKey = this.argumentsKey(host, callback, method);
    return contexts.create(
      instance, callback, method, metadataKey, parameters, contextId, host.wrapper.id, enhancers, PGPUBSUB_CONTEXT,
    ) as Handler; // prettier-ignore
  }

  /**
   * Returns the metadata key of the parameters. Without decorators of the user, that of a default:
   * pipes run for parameters with metadata only. Without pipes, one without metadata: Nest then
   * passes the arguments on unchanged, in half the time.
   */
  private argumentsKey(host: HostProvider, callback: object, method: string): string {
    const { constructor } = host.prototype;
    if (Reflect.hasMetadata(ROUTE_ARGUMENTS, constructor, method)) return ROUTE_ARGUMENTS;
    if (!this.hasEnhancers(PIPES, host, callback)) return NO_ARGUMENTS;
    Reflect.defineMetadata(DEFAULT_ARGUMENTS, DEFAULT_PARAMETERS, constructor, method);
    return DEFAULT_ARGUMENTS;
  }

  /** Whether Nest would only call the method. A direct call halves the time of a notification. */
  private isPlain(host: HostProvider, callback: object, method: string): boolean {
    if (Reflect.hasMetadata(ROUTE_ARGUMENTS, host.prototype.constructor, method)) return false;
    return ENHANCERS.every((key) => !this.hasEnhancers(key, host, callback));
  }

  /** Whether the method, its class or the whole application has such an enhancer. */
  private hasEnhancers(key: Enhancer, host: HostProvider, callback: object): boolean {
    if (Reflect.hasMetadata(key, callback) || Reflect.hasMetadata(key, host.prototype.constructor))
      return true;
    return this.options.globalEnhancers && GLOBAL[key](this.config).length > 0;
  }
}

/** The global enhancers, by the key of those of a method. */
const GLOBAL: Record<Enhancer, (config: ApplicationConfig) => readonly unknown[]> = {
  __guards__: (config) => [...config.getGlobalGuards(), ...config.getGlobalRequestGuards()],
  __interceptors__: (config) => [...config.getGlobalInterceptors(), ...config.getGlobalRequestInterceptors()],
  [PIPES]: (config) => [...config.getGlobalPipes(), ...config.getGlobalRequestPipes()],
  [FILTERS]: (config) => [...config.getGlobalFilters(), ...config.getGlobalRequestFilters()],
};

/** Calls the method as Nest does without enhancers: subscribes to an Observable that it returns. */
const plainCall =
  (instance: object, callback: (...args: unknown[]) => unknown): Handler =>
  (payload, notification) => {
    const result = callback.call(instance, payload, notification);
    return result instanceof Promise ? result.then(lastOf) : lastOf(result);
  };

const lastOf = (result: unknown): unknown =>
  isObservable(result) ? lastValueFrom(result, { defaultValue: undefined }) : result;

/** Fields of Nest's creator, private for TypeScript only; the same in Nest 10 to 12. */
interface CreatorParts {
  readonly modulesContainer: never;
  readonly guardsConsumer: never;
  readonly interceptorsConsumer: InterceptorsConsumer;
  readonly pipesConsumer: never;
  readonly guardsContextCreator: ContextCreator;
  readonly interceptorsContextCreator: ContextCreator;
  readonly pipesContextCreator: ContextCreator;
  readonly filtersContextCreator: ContextCreator & FiltersContextCreator;
}

interface InterceptorsConsumer {
  intercept(...args: unknown[]): Promise<unknown>;
}

interface ContextCreator {
  readonly container: unknown;
  readonly constructor: unknown;
}

/**
 * Builds Nest's creator again from its parts, with three changes. Without `globalEnhancers` the
 * parts do not know the application's configuration, which is written for HTTP; enhancers of the
 * class and the method stay. A stream without a value (an interceptor's EMPTY) is a result, where
 * Nest expects a value. Filters do not replace errors.
 */
function createContexts(
  contexts: ExternalContextCreator,
  globalEnhancers: boolean,
  reportFilterFailure: ReportFilterFailure,
): ExternalContextCreator {
  const parts = contexts as unknown as CreatorParts;
  const part = <T extends ContextCreator>(creator: T): T =>
    globalEnhancers ? creator : new (creator.constructor as new (container: unknown) => T)(creator.container);
  return new ExternalContextCreator(
    part(parts.guardsContextCreator) as never,
    parts.guardsConsumer,
    part(parts.interceptorsContextCreator) as never,
    toleratingEmpty(parts.interceptorsConsumer) as never,
    parts.modulesContainer,
    part(parts.pipesContextCreator) as never,
    parts.pipesConsumer,
    keepErrors(part(parts.filtersContextCreator), reportFilterFailure) as never,
  );
}

const toleratingEmpty = (consumer: InterceptorsConsumer): InterceptorsConsumer => ({
  async intercept(...args) {
    const result = await consumer.intercept(...args);
    return isObservable(result) ? from(result).pipe(defaultIfEmpty(undefined)) : result;
  },
});
