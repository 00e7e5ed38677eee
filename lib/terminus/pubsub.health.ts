/**
 * `pubsub.status()` as a health indicator, for applications with `@nestjs/terminus`.
 *
 * @module nestjs-pgpubsub/terminus
 */
import { Inject, Injectable, Optional } from '@nestjs/common';
import { HealthIndicatorService, type HealthIndicatorResult } from '@nestjs/terminus';
import { PgPubSubError, describeValue } from '../common/errors.js';
import type { StatusOptions } from '../observability/health.js';
import { PubSubService } from '../pubsub.service.js';

/** The limits of `pubsub.status()`, and what to make of them. */
export interface PgPubSubHealthOptions extends StatusOptions {
  /** The instance that is meant. Without it the default one. */
  pubsub?: PubSubService;
  /**
   * What fails the check. `'down'`: what is degraded answers with 200 and its reasons, because another process would be no
   * better off. `'degraded'`: that fails, too; for alerts, not for what takes a process out of service.
   *
   * @defaultValue `'down'`
   */
  failOn?: 'down' | 'degraded';
}

const FAIL_ON = ['down', 'degraded'] as const;

/**
 * The health of an instance, for `@nestjs/terminus`. A provider of the module that imports `TerminusModule`:
 *
 * ```ts
 * this.health.check([() => this.pubsub.check('pubsub')]);
 * ```
 *
 * The details are those of `pubsub.status()`. Terminus 12 calls a degraded one `degraded`, terminus 11 `up`; either
 * way `health` says it.
 */
@Injectable()
export class PgPubSubHealthIndicator {
  /** @internal By Nest. */
  constructor(
    @Inject(HealthIndicatorService) private readonly indicators: HealthIndicatorService,
    @Optional() @Inject(PubSubService) private readonly pubsub: PubSubService | undefined,
  ) {}

  /**
   * The status of the instance under this key, for `HealthCheckService.check()`. What is not well is an answer, and no error.
   * Throws `UNKNOWN_INSTANCE` when there is no default instance and none is given, and `INVALID_ARGUMENT` for options that are
   * unknown or cannot be meant.
   */
  async check<const Key extends string>(
    key: Key,
    options: PgPubSubHealthOptions = {},
  ): Promise<HealthIndicatorResult<Key>> {
    const { pubsub = this.pubsub, failOn = 'down', ...limits } = options;
    if (pubsub === undefined) throw noInstance();
    if (!FAIL_ON.includes(failOn)) throw unknownFailure(failOn);
    const { name: _name, ...details } = await pubsub.status(limits);
    const session = this.indicators.check(key);
    if (details.health === 'up') return session.up(details);
    if (details.health === 'down' || failOn === 'degraded') return session.down(details);
    return hasDegraded(session) ? session.degraded(details) : session.up(details);
  }
}

/** Since terminus 12; before, there is nothing between up and down. */
const hasDegraded = (session: object): boolean => 'degraded' in session;

const noInstance = () =>
  new PgPubSubError(
    'UNKNOWN_INSTANCE',
    'expected PgPubSubHealthIndicator.check() to be told which instance is meant, as there is no default one, got none. ' +
      'Inject one with @InjectPubSub(name), and hand it over as { pubsub }.',
  );

const unknownFailure = (got: unknown) =>
  new PgPubSubError(
    'INVALID_ARGUMENT',
    `expected "failOn" to be "down" or "degraded", got ${describeValue(got)}. Correct it, or leave it out.`,
  );
