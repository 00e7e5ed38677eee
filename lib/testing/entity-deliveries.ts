import { isDeepStrictEqual } from 'node:util';
import type { DecodedText } from '../channels/entity-source.js';
import type { EntityChange, EntityClass, Operation } from '../channels/entity-change.js';
import { PgPubSubError, describeValue } from '../common/errors.js';
import type { JsonObject } from '../common/json.js';
import type { ResolvedTrigger } from '../triggers/trigger.resolver.js';

/** A change of a row, as a test makes it up. */
export interface PublishedChange<E = object> {
  readonly operation: Operation;
  /** An instance of the entity; for inserts and updates. */
  readonly new?: E | null;
  /** An instance of the entity; for updates and deletes. */
  readonly old?: E | null;
  /**
   * The properties that an update changed. Without it those that differ between `old` and `new`.
   */
  readonly changed?: readonly Extract<keyof E, string>[];
}

/**
 * Changes of entities on their way to listeners. The trigger, its condition and the making of entities from rows are
 * PostgreSQL's and TypeORM's part, and not here: entities arrive as the test has made them. What travels is a token.
 */
export class EntityDeliveries {
  private readonly waiting = new Map<string, DecodedText>();

  /** The text that stands for this change; throws `INVALID_ARGUMENT` for one that no trigger would send. */
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

  /** Throws `INVALID_PAYLOAD` for what was not put in by the test. */
  decode(channel: string, text: string): DecodedText {
    const decoded = this.waiting.get(text);
    if (decoded === undefined) throw notPublished(channel);
    this.waiting.delete(text);
    return decoded;
  }
}

/** Which rows a change has, by its operation. */
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
    `expected publish() on channel "${channel}", which belongs to an entity, to get ${expected}, got ${got}. ` +
      `Publish what listeners get: { operation: 'insert', new: repository.create({ … }) }.`,
  );

const notPublished = (channel: string) =>
  new PgPubSubError(
    'INVALID_PAYLOAD',
    `expected changes of the entity's table on channel "${channel}", put in by publish(entity, change), got a text that was notified. ` +
      'What triggers do with rows needs a real database.',
  );
