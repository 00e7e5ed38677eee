import { OPERATIONS, type Operation } from '../channels/entity-change.js';
import type { NotifyChangesOptions } from './notify-changes.options.js';

const DECLARATIONS = Symbol.for('nestjs-pgpubsub:notify-changes');

/** Sorts operations, because the trigger must not depend on the order in which they are listed. */
export const inOrder = (operations: Operation | readonly Operation[]): Operation[] =>
  OPERATIONS.filter((operation) => operation === operations || operations.includes(operation));

/**
 * Declares that changes of the entity's table are notified. Repeatable, with another channel each
 * time. The trigger itself is created by TypeORM's migrations: see {@link withPgPubSub}.
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

/** Returns the declarations of this class, without those of its parents. */
export function declarationsOf(target: object): readonly NotifyChangesOptions[] {
  return (Reflect.getOwnMetadata(DECLARATIONS, target) as readonly NotifyChangesOptions[] | undefined) ?? [];
}
