import type { OnApplicationBootstrap } from '@nestjs/common';
import type { ModulesContainer } from '@nestjs/core';

/**
 * Calls `then` when every bootstrap hook of the application has succeeded; never, when one of them fails. Nest has no event
 * for that moment. The last hook that it calls is the one of the root module's class, which is therefore extended for
 * this start. Calls at once where Nest would not call that hook: for a root module that depends on the request.
 */
export function afterBootstrap(modules: ModulesContainer, then: () => void): void {
  const wrapper = lastOf(modules);
  if (wrapper === undefined || !wrapper.isDependencyTreeStatic()) return then();
  const root = wrapper.instance;
  const hook = root.onApplicationBootstrap;
  Object.defineProperty(root, 'onApplicationBootstrap', {
    configurable: true,
    writable: true,
    value: async () => {
      await hook?.call(root);
      then();
    },
  });
}

/**
 * The class of the module whose hooks Nest calls last: the one nearest to the root, which is the root unless that is
 * global. Modules that were loaded lazily have no distance, and Nest does not call their hooks.
 */
function lastOf(modules: ModulesContainer) {
  const called = [...modules.values()].filter(({ distance }) => distance > 0);
  const last = called.toSorted((a, b) => b.distance - a.distance).at(-1); // Nest's order, which is stable, too
  return last?.getProviderByKey<Partial<OnApplicationBootstrap>>(last.metatype);
}
