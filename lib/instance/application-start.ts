import type { OnApplicationBootstrap } from '@nestjs/common';
import type { ModulesContainer } from '@nestjs/core';

/**
 * Calls `then` when every bootstrap hook of the application has succeeded; never, if one of them
 * fails. Nest has no event for that moment. The hook of the root module's class is the last one
 * that it calls, and is therefore wrapped for this start. Calls `then` at once for a request-scoped
 * root module, whose hook Nest would not call.
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
 * The class of the module whose hooks Nest calls last: the one nearest to the root, which is the
 * root unless it is global. Lazily loaded modules have no distance, and Nest does not call their
 * hooks.
 */
function lastOf(modules: ModulesContainer) {
  const called = [...modules.values()].filter(({ distance }) => distance > 0);
  const last = called.toSorted((a, b) => b.distance - a.distance).at(-1); // a stable sort, as Nest's
  return last?.getProviderByKey<Partial<OnApplicationBootstrap>>(last.metatype);
}
