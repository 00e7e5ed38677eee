import type { ChannelLike } from '../channels/channel.registry.js';
import type { EntityClass, Operation } from '../channels/entity-change.js';
import { PgPubSubError, describeValue } from '../common/errors.js';
import type { GapHandlerOptions, ListenerOptions } from './listener.options.js';

/** What `@Listener()` leaves on a method; a registered symbol, so that two copies of this package agree. */
const LISTENERS = Symbol.for('nestjs-pgpubsub:listeners');
const GAP_HANDLERS = Symbol.for('nestjs-pgpubsub:gap-handlers');

export interface ListenerDeclaration {
  readonly channel: ChannelLike;
  readonly options: ListenerOptions;
}

/**
 * Calls the method with `(payload, notification)` for what arrives on the channel. On any method of a provider or
 * controller; repeatable, for several channels.
 *
 * ```ts
 * @Listener('orders')
 * async onOrder(order: Order, notification: Notification<Order>) {}
 * ```
 *
 * Invalid options stop the application at start-up with `INVALID_LISTENER`.
 */
export function Listener<T>(channel: ChannelLike<T>, options: ListenerOptions = {}): MethodDecorator {
  return appendTo(LISTENERS, { channel, options } satisfies ListenerDeclaration);
}

const listenerOn =
  (on: Operation | undefined) =>
  (entity: EntityClass, options: Omit<ListenerOptions, 'on'> = {}): MethodDecorator =>
    Listener(entity, on === undefined ? options : { ...options, on });

/**
 * Calls the method with an {@link EntityChange} for every row inserted: `@Listener(entity, { on: 'insert' })`.
 *
 * ```ts
 * @OnInsert(Author)
 * async welcome({ new: author }: EntityChange<Author>) {}
 * ```
 */
export const OnInsert = listenerOn('insert');
/** As {@link OnInsert}, for rows updated, when the update changed something; `changed` says what. */
export const OnUpdate = listenerOn('update');
/** As {@link OnInsert}, for rows deleted: `old` is what they were. */
export const OnDelete = listenerOn('delete');
/** As {@link OnInsert}, when the table is truncated; its trigger must say so in `on`. There are no rows with it. */
export const OnTruncate = listenerOn('truncate');
/** As {@link OnInsert}, for every operation that the entity's trigger sends. */
export const OnChange = listenerOn(undefined);

/**
 * Calls the method with a {@link Gap} whenever broadcasts may have been missed: the LISTEN connection was down, and
 * is in force again. The place to clear a cache. It comes when the time is over: who cannot bear a stale value until then
 * goes by `pubsub.connection$` as well, and bypasses the cache while that is not `'listening'`.
 */
export function OnGap(options: GapHandlerOptions = {}): MethodDecorator {
  return appendTo(GAP_HANDLERS, options);
}

export const listenersOf = (method: object): readonly ListenerDeclaration[] => read(LISTENERS, method);

export const gapHandlersOf = (method: object): readonly GapHandlerOptions[] => read(GAP_HANDLERS, method);

/** On the method itself, not on its class: decorators that wrap methods copy the metadata along. */
function appendTo(key: symbol, declaration: object): MethodDecorator {
  // a property has no descriptor
  return (target: object, name: string | symbol, descriptor: PropertyDescriptor | undefined) => {
    const method: unknown = descriptor?.value;
    if (typeof target === 'function' || typeof name !== 'string' || typeof method !== 'function')
      throw notAMethod(target, name);
    Reflect.defineMetadata(key, [declaration, ...read(key, method)], method); // decorators run from the last to the first
  };
}

function read<T>(key: symbol, method: object): readonly T[] {
  return (Reflect.getOwnMetadata(key, method) as readonly T[] | undefined) ?? [];
}

/**
 * Decorators of ECMAScript get the method as their target, and an object about it in place of its name. A decorator of a
 * class gets the class alone.
 */
function notAMethod(target: object, name: unknown): PgPubSubError {
  if (typeof name === 'string' || typeof name === 'symbol')
    return misplaced(
      `${String(name)} of ${describeValue(typeof target === 'function' ? target : target.constructor)}`,
    );
  return name === undefined ? misplaced(describeValue(target)) : ofEcmaScript();
}

const ofEcmaScript = () =>
  new PgPubSubError(
    'INVALID_LISTENER',
    'expected @Listener() and @OnGap() to be compiled with the option "experimentalDecorators" of TypeScript, got decorators of ECMAScript. ' +
      'Set it to true, as Nest needs it.',
  );

const misplaced = (place: string) =>
  new PgPubSubError(
    'INVALID_LISTENER',
    `expected @Listener() and @OnGap() on a method of instances, got it on ${place}. ` +
      'Nest looks for methods with names, on the instances of providers and controllers. ' +
      'Make a property that holds a function, an accessor or a static method such a method: `receive() {}`.',
  );
