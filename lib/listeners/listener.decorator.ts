import type { ChannelLike } from '../channels/channel.registry.js';
import type { EntityClass, Operation } from '../channels/entity-change.js';
import { PgPubSubError, describeValue } from '../common/errors.js';
import type { GapHandlerOptions, ListenerOptions } from './listener.options.js';

/** The metadata key of `@Listener()`; a registered symbol, so that copies of this package agree. */
const LISTENERS = Symbol.for('nestjs-pgpubsub:listeners');
const GAP_HANDLERS = Symbol.for('nestjs-pgpubsub:gap-handlers');

export interface ListenerDeclaration {
  readonly channel: ChannelLike;
  readonly options: ListenerOptions;
}

/**
 * Calls the method with `(payload, notification)` for each notification on the channel. For any
 * method of a provider or controller; repeatable, for several channels.
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
 * Calls the method with an {@link EntityChange} for each inserted row:
 * `@Listener(entity, { on: 'insert' })`.
 *
 * ```ts
 * @OnInsert(Author)
 * async welcome({ new: author }: EntityChange<Author>) {}
 * ```
 */
export const OnInsert = listenerOn('insert');
/** Works as {@link OnInsert}, for rows that an update changed; `changed` lists the properties. */
export const OnUpdate = listenerOn('update');
/** Works as {@link OnInsert}, for deleted rows; `old` is the row. */
export const OnDelete = listenerOn('delete');
/** Works as {@link OnInsert}, for truncates (without rows). The trigger must list it in `on`. */
export const OnTruncate = listenerOn('truncate');
/** Works as {@link OnInsert}, for every operation that the entity's trigger sends. */
export const OnChange = listenerOn(undefined);

/**
 * Calls the method with a {@link Gap} when broadcasts may have been missed: the LISTEN connection
 * was lost or deaf, and LISTEN is active again. The place to clear a cache. The call comes at the
 * end of the gap: to avoid stale values until then, bypass the cache while `pubsub.connection$` is
 * not `'listening'`.
 */
export function OnGap(options: GapHandlerOptions = {}): MethodDecorator {
  return appendTo(GAP_HANDLERS, options);
}

export const listenersOf = (method: object): readonly ListenerDeclaration[] => read(LISTENERS, method);

export const gapHandlersOf = (method: object): readonly GapHandlerOptions[] => read(GAP_HANDLERS, method);

/** Stores the metadata on the method, not on its class: decorators that wrap methods copy it. */
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
 * Decorators of ECMAScript get the method as their target, and a context object in place of its
 * name. A decorator of a class gets only the class.
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
    `expected @Listener() and @OnGap() on instance methods, got one on ${place}. ` +
      'Nest finds methods by name, on the instances of providers and controllers. ' +
      'Replace a property with a function, an accessor or a static method by an instance method: `receive() {}`.',
  );
