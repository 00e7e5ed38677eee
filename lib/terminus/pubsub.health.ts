/**
 * `pubsub.status()` as a health indicator, for applications with `@nestjs/terminus`.
 *
 * @module nestjs-pgpubsub/terminus
 */
import { Inject, Injectable, Optional } from '@nestjs/common';
import { HealthIndicatorService, type HealthIndicatorResult } from '@nestjs/terminus';
import * as v from 'valibot';
import { PgPubSubError } from '../common/errors.js';
import { optional, parseOptions, valueOf, type GivenOptions } from '../common/parse.js';
import type { StatusOptions } from '../observability/health.js';
import { PubSubService } from '../pubsub.service.js';

/** @internal The definitions of the options of {@link PgPubSubHealthIndicator.check}. */
export const HEALTH_OPTIONS = {
  /**
   * The instance to check.
   *
   * @defaultValue the default one
   */
  instance: optional(
    valueOf<PubSubService>(isService, 'an instance, as @InjectPubSub(name) gives it', 'a `PubSubService`'),
  ),
  /**
   * The health from which on the check fails. `'down'`: a degraded instance answers with 200 and
   * its reasons. `'degraded'`: for alerts, not for readiness.
   *
   * @defaultValue `'down'`
   * @remarks Another process would be no better off than a degraded one.
   */
  failOn: optional(v.picklist(['down', 'degraded'], '"down" or "degraded"'), 'down'),
};

/** The limits of `pubsub.status()`, the instance, and the health from which on the check fails. */
export interface PgPubSubHealthOptions extends StatusOptions, GivenOptions<typeof HEALTH_OPTIONS> {}

/**
 * Reports the health of an instance to `@nestjs/terminus`. Provide it beside `TerminusModule`:
 *
 * ```ts
 * this.health.check([() => this.pubsub.check('pubsub')]);
 * ```
 *
 * The details are those of `pubsub.status()`. The status of a degraded instance is `degraded` in
 * terminus 12 and `up` in terminus 11, both with `health: 'degraded'`.
 */
@Injectable()
export class PgPubSubHealthIndicator {
  /** @internal Called by Nest. */
  constructor(
    @Inject(HealthIndicatorService) private readonly indicators: HealthIndicatorService,
    @Optional() @Inject(PubSubService) private readonly pubsub: PubSubService | undefined,
  ) {}

  /**
   * Returns the status of the instance under this key; problems do not throw. Throws
   * `UNKNOWN_INSTANCE` without an instance, and `INVALID_ARGUMENT` for invalid options.
   */
  async check<const Key extends string>(
    key: Key,
    options: PgPubSubHealthOptions = {},
  ): Promise<HealthIndicatorResult<Key>> {
    const { own, limits } = divide(options);
    const { instance: pubsub = this.pubsub, failOn } = parseOptions(HEALTH_OPTIONS, own, CHECKED);
    if (pubsub === undefined) throw noInstance();
    const { name: _name, ...details } = await pubsub.status(limits);
    const session = this.indicators.check(key);
    if (details.health === 'up') return session.up(details);
    if (details.health === 'down' || failOn === 'degraded') return session.down(details);
    return hasDegraded(session) ? session.degraded(details) : session.up(details);
  }
}

/** Whether this version of terminus has the status `degraded`: from 12 on. */
const hasDegraded = (session: object): boolean => 'degraded' in session;

const noInstance = () =>
  new PgPubSubError(
    'UNKNOWN_INSTANCE',
    'expected PgPubSubHealthIndicator.check() to receive the option "instance", because the application has no default instance, got none. ' +
      'Inject an instance with @InjectPubSub(name), and pass it as { instance }.',
  );

const CHECKED = {
  code: 'INVALID_ARGUMENT',
  what: 'PgPubSubHealthIndicator.check()',
  renamed: { pubsub: 'instance' },
} as const;

/** Separates the options of the check from those of `status()`, which checks its own. */
function divide(options: object): { own: object; limits: object } {
  const isOwn = ([name]: [string, unknown]) => name in HEALTH_OPTIONS || name in CHECKED.renamed;
  const entries = Object.entries(options);
  return {
    own: Object.fromEntries(entries.filter(isOwn)),
    limits: Object.fromEntries(entries.filter((entry) => !isOwn(entry))),
  };
}

/** Compares the shape, because the service may come from another copy of this package. */
function isService(value: unknown): boolean {
  return (
    typeof value === 'object' && value !== null && 'status' in value && typeof value.status === 'function'
  );
}
