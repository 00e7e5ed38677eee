import { Inject, Injectable } from '@nestjs/common';
import { ApplicationConfig, DiscoveryService, ExternalContextCreator, MetadataScanner } from '@nestjs/core';
import type { ChannelRegistry } from '../channels/channel.registry.js';
import type { Gap, Report } from '../common/facts.js';
import { DEFAULT_NAME } from '../common/options.js';
import { HostProvider } from './host-provider.js';
import { gapHandlersOf, listenersOf } from './listener.decorator.js';
import {
  resolveGapHandler,
  resolveListener,
  type GapHandler,
  type ListenerDefinition,
} from './listener.definition.js';
import { ListenerInvoker } from './listener.invoker.js';

export interface ExplorerOptions {
  /** Name of the instance whose listeners are wanted. */
  readonly name: string;
  readonly globalEnhancers: boolean;
  readonly registry: ChannelRegistry;
  readonly report: Report;
  /** Called with the name of every instance a decorator asks for; throws when there is none. */
  readonly assertInstance: (name: string, method: string) => void;
}

export interface Discovered {
  readonly listeners: readonly ListenerDefinition[];
  readonly gapHandlers: readonly GapHandler[];
}

interface DecoratedMethod {
  readonly host: HostProvider;
  readonly method: string;
  readonly fullName: string;
  readonly callback: object;
}

/** Finds the decorated methods of all providers and controllers, once, when the application starts. */
@Injectable()
export class ListenerExplorer {
  constructor(
    @Inject(DiscoveryService) private readonly discovery: DiscoveryService,
    @Inject(MetadataScanner) private readonly scanner: MetadataScanner,
    @Inject(ExternalContextCreator) private readonly contexts: ExternalContextCreator,
    @Inject(ApplicationConfig) private readonly config: ApplicationConfig,
  ) {}

  async explore(options: ExplorerOptions): Promise<Discovered> {
    const methods = [...this.methods()];
    return {
      listeners: await this.listeners(methods, options),
      gapHandlers: methods.flatMap((method) => gapHandlers(method, options)),
    };
  }

  private async listeners(
    methods: readonly DecoratedMethod[],
    options: ExplorerOptions,
  ): Promise<ListenerDefinition[]> {
    const invoker = new ListenerInvoker(this.contexts, this.config, options);
    const hosts = new Map<object, string[]>();
    const all: ListenerDefinition[] = [];
    for (const { host, method, fullName, callback } of methods) {
      const declarations = listenersOf(callback).filter(({ options: { pubsub } }) =>
        isMeant(pubsub, fullName, options),
      );
      if (declarations.length === 0) continue;
      for (const declaration of declarations) {
        const resolved = resolveListener(declaration, fullName, options.registry);
        const called = { listener: resolved.name, channel: resolved.channel.name };
        all.push({ ...resolved, invoke: await invoker.create(host, method, called) });
      }
      const seen = hosts.get(host.prototype.constructor) ?? [];
      if (seen.includes(method)) options.report({ type: 'duplicated', listener: fullName });
      hosts.set(host.prototype.constructor, [...seen, method]);
    }
    return all;
  }

  private *methods(): Iterable<DecoratedMethod> {
    const instances = new Set<unknown>(); // one may be provided under several tokens
    for (const wrapper of [...this.discovery.getProviders(), ...this.discovery.getControllers()]) {
      const host = HostProvider.of(wrapper);
      if (host === undefined || (host.isStatic && instances.has(wrapper.instance))) continue;
      instances.add(wrapper.instance);
      for (const method of this.scanner.getAllMethodNames(host.prototype)) {
        const callback = (host.prototype as Record<string, object>)[method]; // the scanner lists functions
        if (callback === undefined || listenersOf(callback).length + gapHandlersOf(callback).length === 0)
          continue;
        yield { host, method, fullName: `${host.className}.${method}`, callback };
      }
    }
  }
}

function gapHandlers(
  { host, method, fullName, callback }: DecoratedMethod,
  options: ExplorerOptions,
): GapHandler[] {
  return gapHandlersOf(callback)
    .map((declared) => resolveGapHandler(declared, fullName))
    .filter(({ pubsub }) => isMeant(pubsub, fullName, options))
    .map(() => ({ name: fullName, invoke: (gap: Gap) => callGapHandler(host, method, gap) }));
}

/** Called as it is: a gap is no notification, guards and pipes would not know what to do with it. */
async function callGapHandler(host: HostProvider, method: string, gap: Gap): Promise<unknown> {
  const instance = host.isStatic
    ? await host.staticInstance()
    : (await host.requestInstance({ gap })).instance;
  return (instance as Record<string, (gap: Gap) => unknown>)[method]?.(gap);
}

function isMeant(
  pubsub: string | undefined,
  method: string,
  { name, assertInstance }: ExplorerOptions,
): boolean {
  const wanted = pubsub ?? DEFAULT_NAME;
  assertInstance(wanted, method);
  return wanted === name;
}
