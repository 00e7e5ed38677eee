import { isDeepStrictEqual } from 'node:util';
import type { DecodedText } from '../channels/entity-source.js';
import type { EntityChange, EntityClass, Operation } from '../channels/entity-change.js';
import { PgPubSubError, describeValue } from '../common/errors.js';
import type { JsonObject } from '../common/json.js';
import type { ResolvedTrigger } from '../triggers/trigger.resolver.js';

/** A change of a row, as given by a test. */
export interface PublishedChange<E = object> {
  readonly operation: Operation;
  /** An instance of the entity; for inserts and updates. */
  readonly new?: E | null;
  /** An instance of the entity; for updates and deletes. */
  readonly old?: E | null;
  /** The properties that an update changed; by default those that differ. */
  readonly changed?: readonly Extract<keyof E, string>[];
}

/**
 * Holds changes of entities on their way to listeners; a token travels in their place. Triggers and
 * the conversion of rows are not simulated: entities arrive as the test created them.
 */
export class EntityDeliveries {
  private readonly waiting = new Map<string, DecodedText>();

  /** Returns the token. Throws `INVALID_ARGUMENT` for a change that no trigger would send. */
  add(channel: string, trigger: ResolvedTrigger, change: PublishedChange, context: JsonObject): string {
    assertChange(channel, trigger, change);
    const { operation, old = null, new: now = null } = change;
    const payload: EntityChange<object> = {
      operation,
      old,
      new: now,
      entity: now ?? old,
      changed: (change.changed ?? differences(old, now)) as never[], // names of properties
      table: trigger.table,
      schema: trigger.schema,
      truncated: false,
    };
    const token = `change ${this.waiting.size + 1} of ${channel}: ${crypto.randomUUID()}`;
    this.waiting.set(token, { payload, context });
    return token;
  }

  /** Throws `INVALID_PAYLOAD` for a text that is no token. */
  decode(channel: string, text: string): DecodedText {
    const decoded = this.waiting.get(text);
    if (decoded === undefined) throw notPublished(channel);
    this.waiting.delete(text);
    return decoded;
  }
}

/** The rows that a change has, by operation. */
const ROWS = {
  insert: { new: true, old: false },
  update: { new: true, old: true },
  delete: { new: false, old: true },
  truncate: { new: false, old: false },
} as const satisfies Record<Operation, object>;

function assertChange(channel: string, { on, target }: ResolvedTrigger, change: PublishedChange): void {
  const given: unknown = change;
  if (typeof given !== 'object' || given === null)
    throw invalidChange(channel, 'a change of a row', describeValue(given));
  if (!on.includes(change.operation))
    throw invalidChange(
      channel,
      `an operation that its trigger sends (${on.join(', ')})`,
      describeValue(change.operation),
    );
  for (const row of ['new', 'old'] as const) {
    const isExpected = ROWS[change.operation][row];
    const value = change[row] ?? null;
    const what = `"${row}" of ${change.operation}`;
    if (!isExpected && value !== null) throw invalidChange(channel, `no ${what}`, describeValue(value));
    if (isExpected && !isInstance(value, target))
      throw invalidChange(
        channel,
        `${what} to be an instance of ${describeValue(target)}`,
        describeValue(value),
      );
  }
}

const isInstance = (value: unknown, target: unknown): boolean =>
  typeof target === 'function' ? value instanceof (target as EntityClass) : value !== null;

function differences(old: object | null, now: object | null): string[] {
  if (old === null || now === null) return [];
  const before: Readonly<Record<string, unknown>> = { ...old };
  const after: Readonly<Record<string, unknown>> = { ...now };
  return Object.keys(after).filter((property) => !isDeepStrictEqual(before[property], after[property]));
}

const invalidChange = (channel: string, expected: string, got: string) =>
  new PgPubSubError(
    'INVALID_ARGUMENT',
    `expected publish() on the entity channel "${channel}" to get ${expected}, got ${got}. ` +
      `Publish a change as listeners receive it: { operation: 'insert', new: repository.create({ … }) }.`,
  );

const notPublished = (channel: string) =>
  new PgPubSubError(
    'INVALID_PAYLOAD',
    `expected only changes given to publish(entity, change) on the entity channel "${channel}", got a notified text. ` +
      'Test triggers on a real database.',
  );
