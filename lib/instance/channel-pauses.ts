import * as v from 'valibot';
import type { ChannelDefinition } from '../channels/channel.definition.js';
import type { ChannelLike, ChannelRegistry } from '../channels/channel.registry.js';
import type { Workers } from '../claims/workers.js';
import { PgPubSubError } from '../common/errors.js';
import { group, parseShape } from '../common/parse.js';
import type { SqlExecutor } from '../common/sql-executor.js';
import { resumeAll, setPaused } from './process-heartbeat.sql.js';

/** Options of `pubsub.pause()` and `resume()`. */
export interface PauseOptions {
  /**
   * Whether all processes pause, and not this one alone. Stored in the database: it survives restarts, until `resume()` with
   * the same option.
   *
   * @defaultValue `false`
   */
  readonly everywhere?: boolean;
}

const optionsShape = group({ everywhere: v.optional(v.boolean(), false) });

export interface ChannelPausesOptions {
  readonly registry: ChannelRegistry;
  readonly workers: Workers;
  /** The DataSource's manager, as it is at the time of the call. */
  readonly pool: () => SqlExecutor;
  /** The schema of the library's tables; known once the DataSource is connected. */
  readonly schema: () => string;
  /** Called when a pause of all processes was stored or removed. */
  readonly changed: () => Promise<void>;
}

/** Pauses and resumes exactly-once channels, in this process or in all. Owned by the instance. */
export class ChannelPauses {
  constructor(private readonly options: ChannelPausesOptions) {}

  /** Rejects with `INVALID_ARGUMENT`. */
  async pause(channels?: readonly ChannelLike[], options?: PauseOptions): Promise<void> {
    const { registry, workers } = this.options;
    const named = registry.resolveList(channels);
    if (!isEverywhere(options, 'pause()')) return workers.pause(named);
    const names = this.namesOf(
      named ?? registry.definitions.filter(({ delivery }) => delivery === 'exactly-once'),
    );
    if (names.length === 0) throw notStored('none');
    await this.change(setPaused(this.options.schema()), [names, true]);
  }

  /** Rejects with `INVALID_ARGUMENT`. */
  async resume(channels?: readonly ChannelLike[], options?: PauseOptions): Promise<void> {
    const { registry, workers, schema } = this.options;
    const named = registry.resolveList(channels);
    if (!isEverywhere(options, 'resume()')) return workers.resume(named);
    if (named === undefined) await this.change(resumeAll(schema()));
    else await this.change(setPaused(schema()), [this.namesOf(named), false]);
  }

  private async change(sql: string, parameters: unknown[] = []): Promise<void> {
    await this.options.pool().query(sql, parameters); // no deadline: a call of the application, limited by the options of its DataSource
    await this.options.changed();
  }

  /** A name that this application does not define may be a channel of another one: it is taken as it is. */
  private namesOf(channels: readonly ChannelDefinition[]): string[] {
    const { registry } = this.options;
    const broadcast = channels.find(({ name }) => registry.find(name)?.delivery === 'broadcast');
    if (broadcast !== undefined) throw notStored(`the broadcast channel "${broadcast.name}"`);
    return channels.map(({ name }) => name);
  }
}

/** Whether the options mean all processes. */
const isEverywhere = (options: PauseOptions = {}, method: string): boolean =>
  parseShape(optionsShape, options, { code: 'INVALID_ARGUMENT', what: method }).everywhere;

const notStored = (got: string) =>
  new PgPubSubError(
    'INVALID_ARGUMENT',
    `expected exactly-once channels to pause or resume everywhere, got ${got}. ` +
      'Name channels whose notifications are stored: broadcasts have no place to wait.',
  );
