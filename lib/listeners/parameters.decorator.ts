import type { PipeTransform, Type } from '@nestjs/common';
import { PgPubSubError, describeValue } from '../common/errors.js';

/**
 * Where Nest keeps what parameter decorators say, its own, those of `createParamDecorator()` and ours alike. A
 * constant of its wire format: @nestjs/core does not export it.
 */
export const ROUTE_ARGUMENTS = '__routeArguments__';

/** Our default `(payload, notification)` stands under a key of its own: a method may be an HTTP handler, too. */
export const DEFAULT_ARGUMENTS = 'nestjs-pgpubsub:arguments';

/** A key under which nothing stands. */
export const NO_ARGUMENTS = 'nestjs-pgpubsub:no-arguments';

/** Nest's number for "body": its validation pipes check bodies and payloads, and skip what is "custom". */
export const PAYLOAD_PARAMETER = 3;
/** Nest's number for the context of a microservice's message. */
export const NOTIFICATION_PARAMETER = 6;

type Pipe = Type<PipeTransform> | PipeTransform;

/**
 * Injects the payload after the pipes given here: `create(@Payload(ValidationPipe) order: Order, @Ctx() notification: Notification)`.
 * A listener without `@Payload()` and `@Ctx()` gets `(payload, notification)`. Throws `INVALID_LISTENER` on a parameter of a constructor.
 */
export function Payload(...pipes: Pipe[]): ParameterDecorator;
/** Injects one property of the payload after the pipes given here: `@Payload('id', ParseIntPipe) id: number`. */
export function Payload(property: string, ...pipes: Pipe[]): ParameterDecorator;
export function Payload(first?: string | Pipe, ...rest: Pipe[]): ParameterDecorator {
  if (typeof first === 'string') return parameter(PAYLOAD_PARAMETER, first, rest);
  return parameter(PAYLOAD_PARAMETER, undefined, first === undefined ? rest : [first, ...rest]);
}

/**
 * Injects the {@link Notification}: channel, context, manager, signal and the rest. Throws `INVALID_LISTENER` on a parameter of a
 * constructor.
 */
export function Ctx(): ParameterDecorator {
  return parameter(NOTIFICATION_PARAMETER, undefined, []);
}

function parameter(type: number, data: string | undefined, pipes: readonly Pipe[]): ParameterDecorator {
  return (target, method, index) => {
    if (method === undefined) throw notOfMethod(target);
    const before: object = Reflect.getMetadata(ROUTE_ARGUMENTS, target.constructor, method) ?? {};
    const metadata = { ...before, [`${type}:${index}`]: { index, data, pipes } };
    Reflect.defineMetadata(ROUTE_ARGUMENTS, metadata, target.constructor, method);
  };
}

const notOfMethod = (target: object) =>
  new PgPubSubError(
    'INVALID_LISTENER',
    `expected @Payload() and @Ctx() on parameters of methods, got one of the constructor of ${describeValue(target)}. ` +
      'Move it to the method that listens.',
  );

const plain = (index: number) => ({ index, data: undefined, pipes: [] });

/** Pipes run for parameters that have metadata: an undecorated handler gets `(payload, notification)` through these. */
export const DEFAULT_PARAMETERS = {
  [`${PAYLOAD_PARAMETER}:0`]: plain(0),
  [`${NOTIFICATION_PARAMETER}:1`]: plain(1),
};
