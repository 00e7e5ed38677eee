import type { LazyModuleLoader } from '@nestjs/core';
import type { ReportEvent } from '../common/events.js';
import type { HostProvider } from './host-provider.js';

/** A method of a provider or controller with decorators of this library. */
export interface DecoratedMethod {
  readonly host: HostProvider;
  readonly method: string;
  /** The class and the method, as in logs and errors. */
  readonly fullName: string;
  readonly callback: object;
}

/**
 * Reports listeners of modules that `LazyModuleLoader` loads after the start: they never run,
 * because listeners are discovered once, at the start. Replaces `load()` of the loader, of which an
 * application has one. `decoratedMethods` finds the methods at the time of the call; the first call
 * finds those that run.
 */
export function watchLazyModules(
  loader: Pick<LazyModuleLoader, 'load'>,
  decoratedMethods: () => Iterable<DecoratedMethod>,
  report: ReportEvent,
): void {
  const known = new Set<object>();
  const findNew = (): string[] => {
    const found = [...decoratedMethods()].filter(({ host }) => !known.has(host.wrapper));
    for (const { host } of found) known.add(host.wrapper); // after the filter: a class may have several methods
    return found.map(({ fullName }) => fullName);
  };
  findNew();
  const load = loader.load.bind(loader);
  loader.load = async (...args) => {
    const moduleRef = await load(...args);
    const listeners = findNew();
    if (listeners.length > 0) report({ type: 'lazily-loaded', listeners });
    return moduleRef;
  };
}
