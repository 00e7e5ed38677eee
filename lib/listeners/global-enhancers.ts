import type { ApplicationConfig } from '@nestjs/core';
import { describeValue } from '../common/errors.js';

/** The names of an application's global enhancers, each kind in order. */
export interface GlobalEnhancers {
  readonly guards: readonly string[];
  readonly interceptors: readonly string[];
  readonly pipes: readonly string[];
  readonly filters: readonly string[];
}

/**
 * Reads the enhancers of `APP_GUARD` and the like, request-scoped or not, and those that
 * `app.useGlobalGuards()` and the like have added by now.
 */
export function findGlobalEnhancers(config: ApplicationConfig): GlobalEnhancers {
  return {
    guards: names(config.getGlobalGuards(), config.getGlobalRequestGuards()),
    interceptors: names(config.getGlobalInterceptors(), config.getGlobalRequestInterceptors()),
    pipes: names(config.getGlobalPipes(), config.getGlobalRequestPipes()),
    filters: names(config.getGlobalFilters(), config.getGlobalRequestFilters()),
  };
}

export const hasAny = (enhancers: GlobalEnhancers): boolean =>
  Object.values(enhancers).some((ofKind: readonly string[]) => ofKind.length > 0);

/** A request-scoped provider: its class, or its factory. */
interface RequestScoped {
  readonly metatype: unknown;
}

const names = (instances: readonly unknown[], scoped: readonly RequestScoped[]): string[] => [
  ...new Set([...instances.map(nameOfInstance), ...scoped.map(({ metatype }) => nameOfClass(metatype))]),
];

function nameOfInstance(instance: unknown): string {
  if (typeof instance !== 'object' || instance === null) return nameOfClass(instance);
  const { name } = instance.constructor;
  return name === 'Object' || name === '' ? describeValue(instance) : name;
}

const nameOfClass = (metatype: unknown): string =>
  typeof metatype === 'function' && metatype.name !== '' ? metatype.name : describeValue(metatype);
