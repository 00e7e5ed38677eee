import { ExternalContextCreator } from '@nestjs/core';
import type { Notification } from '../channels/notification.js';
import type { ContextId, HostProvider } from './host-provider.js';
import {
  DEFAULT_ARGUMENTS,
  DEFAULT_PARAMETERS,
  PAYLOAD_PARAMETER,
  ROUTE_ARGUMENTS,
} from './parameters.decorator.js';

/** What `ExecutionContext.getType()` says while a listener runs. */
export const PGPUBSUB_CONTEXT = 'pgpubsub';

export type Invoke = (notification: Notification) => Promise<unknown>;

type Handler = (payload: unknown, notification: Notification) => Promise<unknown>;

/** Fills the parameters; `args` is what the execution context shows: `[payload, notification]`. */
const parameters = {
  exchangeKeyForValue(
    type: number,
    property: unknown,
    args: [payload: unknown, notification: Notification],
  ): unknown {
    const [payload, notification] = args;
    if (type !== PAYLOAD_PARAMETER) return notification;
    return typeof property === 'string'
      ? (payload as Record<string, unknown> | undefined)?.[property]
      : payload;
  },
};

/**
 * Builds, once per listener, the call of its method through Nest's guards, pipes, interceptors and filters. Owned
 * by the explorer; what it builds lives as long as the application.
 */
export class ListenerInvoker {
  private readonly contexts: ExternalContextCreator;

  constructor(contexts: ExternalContextCreator, globalEnhancers: boolean) {
    this.contexts = globalEnhancers ? contexts : withoutGlobalEnhancers(contexts);
  }

  async create(host: HostProvider, method: string): Promise<Invoke> {
    const metadataKey = argumentsKey(host.prototype.constructor, method);
    if (host.isStatic) {
      const handler = this.bind(host, await host.staticInstance(), method, metadataKey);
      return (notification) => handler(notification.payload, notification);
    }
    return async (notification) => {
      const { instance, contextId } = await host.requestInstance(notification);
      return this.bind(host, instance, method, metadataKey, contextId)(notification.payload, notification);
    };
  }

  private bind(
    host: HostProvider,
    instance: object,
    method: string,
    metadataKey: string,
    contextId?: ContextId,
  ): Handler {
    const callback = (instance as Record<string, (...args: unknown[]) => unknown>)[method]; // the explorer found it there
    if (callback === undefined)
      throw new TypeError(
        `expected ${host.className} to have the method "${method}", got an instance without it`,
      );
    const enhancers = { guards: true, interceptors: true, filters: true };
    return this.contexts.create(
      instance, callback, method, metadataKey, parameters, contextId, host.wrapper.id, enhancers, PGPUBSUB_CONTEXT,
    ) as Handler; // prettier-ignore
  }
}

/** The key of the parameters' metadata: the user's where there is any, else our default. */
function argumentsKey(constructor: object, method: string): string {
  if (Reflect.hasMetadata(ROUTE_ARGUMENTS, constructor, method)) return ROUTE_ARGUMENTS;
  Reflect.defineMetadata(DEFAULT_ARGUMENTS, DEFAULT_PARAMETERS, constructor, method);
  return DEFAULT_ARGUMENTS;
}

/** The fields of Nest's creator, which only TypeScript calls private; the same in Nest 10 to 12. */
interface CreatorParts {
  readonly modulesContainer: never;
  readonly guardsConsumer: never;
  readonly interceptorsConsumer: never;
  readonly pipesConsumer: never;
  readonly guardsContextCreator: ContextCreator;
  readonly interceptorsContextCreator: ContextCreator;
  readonly pipesContextCreator: ContextCreator;
  readonly filtersContextCreator: ContextCreator;
}

interface ContextCreator {
  readonly container: unknown;
  readonly constructor: unknown;
}

/**
 * The same creator without the application's configuration, which holds the global enhancers: guards and pipes
 * that were written for HTTP stay out, those of the class and the method stay in.
 */
function withoutGlobalEnhancers(contexts: ExternalContextCreator): ExternalContextCreator {
  const parts = contexts as unknown as CreatorParts;
  return new ExternalContextCreator(
    unconfigured(parts.guardsContextCreator),
    parts.guardsConsumer,
    unconfigured(parts.interceptorsContextCreator),
    parts.interceptorsConsumer,
    parts.modulesContainer,
    unconfigured(parts.pipesContextCreator),
    parts.pipesConsumer,
    unconfigured(parts.filtersContextCreator),
  );
}

const unconfigured = (creator: ContextCreator): never =>
  new (creator.constructor as new (container: unknown) => never)(creator.container);
