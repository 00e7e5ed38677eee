import { OPERATIONS, type Operation } from '../channels/entity-change.js';
import type { NotifyChangesOptions } from './notify-changes.options.js';

const DECLARATIONS = Symbol.for('nestjs-pgpubsub:notify-changes');

/** The operations in one order: the same operations make the same trigger, however they were listed. */
export const inOrder = (operations: Operation | readonly Operation[]): Operation[] =>
  OPERATIONS.filter((operation) => operation === operations || operations.includes(operation));

/**
 * Declares that changes of the entity's table are notified. Repeatable, with a channel each. The trigger itself is
 * created by TypeORM's migrations: see {@link withPgPubSub}.
 *
 * ```ts
 * @Entity()
 * @NotifyChanges({ on: 'insert' })
 * export class Author {}
 * ```
 */
export function NotifyChanges(options: NotifyChangesOptions = {}): ClassDecorator {
  return (target) => {
    Reflect.defineMetadata(DECLARATIONS, [options, ...declarationsOf(target)], target); // run from the last to the first
  };
}

/** What stands on this very class. */
export function declarationsOf(target: object): readonly NotifyChangesOptions[] {
  return (Reflect.getOwnMetadata(DECLARATIONS, target) as readonly NotifyChangesOptions[] | undefined) ?? [];
}
