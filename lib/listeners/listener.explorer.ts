import { Inject, Injectable } from '@nestjs/common';
import {
  ApplicationConfig,
  DiscoveryService,
  ExternalContextCreator,
  LazyModuleLoader,
  MetadataScanner,
} from '@nestjs/core';
import type { ChannelDefinition } from '../channels/channel.definition.js';
import type { ChannelRegistry } from '../channels/channel.registry.js';
import type { Gap, ReportEvent } from '../common/events.js';
import { DEFAULT_NAME } from '../common/options.js';
import { findGlobalEnhancers, hasAny } from './global-enhancers.js';
import { HostProvider } from './host-provider.js';
import { watchLazyModules, type DecoratedMethod } from './lazy-modules.js';
import { gapHandlersOf, listenersOf, type ListenerDeclaration } from './listener.decorator.js';
import {
  checkListener,
  resolveGapHandler,
  resolveListener,
  type GapHandler,
  type ListenerDefinition,
} from './listener.definition.js';
import { ListenerInvoker } from './listener.invoker.js';
import type { GapHandlerOptions } from './listener.options.js';

export interface ExplorerOptions {
  /** The name of the instance whose listeners are found. */
  readonly name: string;
  /** Whether global enhancers run. `undefined` (not given): they do not, and are reported. */
  readonly globalEnhancers: boolean | undefined;
  readonly registry: ChannelRegistry;
  readonly report: ReportEvent;
  /** Called with the instance that each decorator names; throws if there is no such instance. */
  readonly assertInstance: (name: string, method: string) => void;
}

export interface Discovered {
  readonly listeners: readonly ListenerDefinition[];
  readonly gapHandlers: readonly GapHandler[];
}

/** Finds the decorated methods of all providers and controllers, once, at start-up. */
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
    const listeners = await this.listeners(methods, options);
    if (listeners.length > 0) this.reportSkipped(options);
    return { listeners, gapHandlers: methods.flatMap((method) => gapHandlers(method, options)) };
  }

  watchLazyModules(
    loader: LazyModuleLoader,
    { name, report }: Pick<ExplorerOptions, 'name' | 'report'>,
  ): void {
    watchLazyModules(
      loader,
      () =>
        [...this.methods()].filter(({ callback }) =>
          optionsOn(callback).some((given) => isForInstance(given, name)),
        ),
      report,
    );
  }

  private reportSkipped({ globalEnhancers, report }: ExplorerOptions): void {
    const found = findGlobalEnhancers(this.config);
    if (globalEnhancers === undefined && hasAny(found)) report({ type: 'enhancers-skipped', ...found });
  }

  private async listeners(
    methods: readonly DecoratedMethod[],
    options: ExplorerOptions,
  ): Promise<ListenerDefinition[]> {
    const { globalEnhancers = false, report } = options;
    const invoker = new ListenerInvoker(this.contexts, this.config, { globalEnhancers, report });
    const minified: string[] = [];
    const hosts = new Map<object, string[]>();
    const all: ListenerDefinition[] = [];
    for (const { host, method, fullName, callback } of methods) {
      const declarations = listenersOf(callback).filter((declaration) =>
        isForInstance(checkListener(declaration, fullName), options.name, (wanted) =>
          options.assertInstance(wanted, fullName),
        ),
      );
      if (declarations.length === 0) continue;
      for (const declaration of declarations) {
        const resolved = resolveListener(declaration, fullName, options.registry);
        const called = { listener: resolved.name, channel: resolved.channel.name };
        all.push({ ...resolved, invoke: await invoker.create(host, method, called) });
        if (isNamedByMinifiedClass(host, declaration, resolved)) minified.push(fullName);
      }
      const seen = hosts.get(host.prototype.constructor) ?? [];
      if (seen.includes(method)) report({ type: 'duplicated', listener: fullName });
      hosts.set(host.prototype.constructor, [...seen, method]);
    }
    if (minified.length > 0) report({ type: 'names-minified', listeners: minified });
    return all;
  }

  private *methods(): Iterable<DecoratedMethod> {
    const instances = new Set<unknown>(); // one may have several tokens
    for (const wrapper of [...this.discovery.getProviders(), ...this.discovery.getControllers()]) {
      const host = HostProvider.of(wrapper);
      if (host === undefined || (host.isStatic && instances.has(wrapper.instance))) continue;
      instances.add(wrapper.instance);
      for (const method of this.scanner.getAllMethodNames(host.prototype)) {
        const callback = (host.prototype as Record<string, object>)[method]; // the scanner lists functions
        if (callback === undefined || optionsOn(callback).length === 0) continue;
        yield { host, method, fullName: `${host.className}.${method}`, callback };
      }
    }
  }
}

/** The greatest length of a class name that a bundler has shortened. */
const MAX_MINIFIED_LENGTH = 3;

/**
 * Whether the identity of an exactly-once listener may change with the next build: bundlers give
 * classes other short names whenever the code changes. `false` outside of production, where short
 * names are the application's own.
 */
const isNamedByMinifiedClass = (
  host: HostProvider,
  { options: { name } }: ListenerDeclaration,
  { channel }: { readonly channel: ChannelDefinition },
): boolean =>
  process.env['NODE_ENV'] === 'production' &&
  channel.delivery === 'exactly-once' &&
  name === undefined &&
  host.className.length <= MAX_MINIFIED_LENGTH;

function gapHandlers(
  { host, method, fullName, callback }: DecoratedMethod,
  options: ExplorerOptions,
): GapHandler[] {
  return gapHandlersOf(callback)
    .map((given) => resolveGapHandler(given, fullName))
    .filter((given) =>
      isForInstance(given, options.name, (wanted) => options.assertInstance(wanted, fullName)),
    )
    .map(() => ({ name: fullName, invoke: (gap: Gap) => callGapHandler(host, method, gap) }));
}

/** Calls the method directly: guards and pipes are written for notifications, not for gaps. */
async function callGapHandler(host: HostProvider, method: string, gap: Gap): Promise<unknown> {
  const instance = host.isStatic
    ? await host.staticInstance()
    : (await host.requestInstance({ gap })).instance;
  return (instance as Record<string, (gap: Gap) => unknown>)[method]?.(gap);
}

/** Returns the options of every decorator on a method, unchecked. */
const optionsOn = (callback: object): unknown[] => [
  ...listenersOf(callback).map(({ options }) => options),
  ...gapHandlersOf(callback),
];

/**
 * Whether a decorator belongs to the instance of this name; without a name, to the default
 * instance. Accepts invalid options, too: modules that are loaded later are searched before any
 * check.
 */
function isForInstance(given: unknown, name: string, assertInstance?: (wanted: string) => void): boolean {
  const { instance = DEFAULT_NAME } = (given ?? {}) as GapHandlerOptions;
  assertInstance?.(instance);
  return instance === name;
}
