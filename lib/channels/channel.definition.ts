import { PgPubSubError } from '../common/errors.js';
import { brandInstances } from '../common/brand.js';
import { parseOptions, type CheckedOptions } from '../common/parse.js';
import { CHANNEL_DEFINITION } from './channel-brand.js';
import { assertChannelName } from './channel-name.js';
import { CHANNEL_OPTIONS, findContradiction, type ChannelOptions } from './channel.options.js';

type CheckedChannelOptions = CheckedOptions<typeof CHANNEL_OPTIONS>;

// oxlint-disable-next-line typescript/no-unsafe-declaration-merging -- the constructor of the class assigns them
export interface ChannelDefinition extends CheckedChannelOptions {}

/**
 * A channel: its name, the type of its payloads and its delivery. Immutable; made by
 * {@link defineChannel}, and shared by senders and listeners. Has each option of
 * {@link ChannelOptions} as given, or its default.
 */
export class ChannelDefinition<T = unknown> {
  static {
    brandInstances(this, CHANNEL_DEFINITION);
  }

  /** Holds the type of the payload; absent at run time. */
  declare readonly payload?: T;

  /** @internal Takes checked values: applications call {@link defineChannel}. */
  constructor(
    readonly name: string,
    options: CheckedChannelOptions,
  ) {
    Object.assign(this, options);
    Object.freeze(this);
  }
}

/**
 * Defines a channel for senders and listeners: its name, payload type and delivery.
 *
 * ```ts
 * export const Orders = defineChannel<Order>('orders', { schema: OrderSchema });
 * ```
 *
 * Throws `INVALID_CHANNEL` for a name that is not 1 to 63 bytes long, and for unknown or invalid
 * options.
 */
export function defineChannel<T>(name: string, options: ChannelOptions<T> = {}): ChannelDefinition<T> {
  assertChannelName(name);
  const what = `the channel "${name}"`;
  const checked = parseOptions(CHANNEL_OPTIONS, options, { code: 'INVALID_CHANNEL', what });
  const contradiction = findContradiction(checked);
  if (contradiction !== undefined) {
    const { expected, got, remedy } = contradiction;
    throw new PgPubSubError('INVALID_CHANNEL', `${what}: expected ${expected}, got ${got}. ${remedy}`);
  }
  return new ChannelDefinition<T>(name, checked);
}

const PLAIN = parseOptions(CHANNEL_OPTIONS, {}, { code: 'INVALID_CHANNEL', what: 'a channel' });

/** Returns the channel of a name without a definition: a broadcast channel of any JSON. */
export const plainChannel = (name: string): ChannelDefinition => new ChannelDefinition(name, PLAIN);
