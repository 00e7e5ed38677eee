import type { PipeTransform, Type } from '@nestjs/common';
import { PgPubSubError, describeValue } from '../common/errors.js';

/**
 * Nest's metadata key of parameter decorators: its own, those of `createParamDecorator()` and ours.
 * A constant that @nestjs/core does not export.
 */
export const ROUTE_ARGUMENTS = '__routeArguments__';

/** The key of the default arguments: under Nest's key they would affect HTTP handlers. */
export const DEFAULT_ARGUMENTS = 'nestjs-pgpubsub:arguments';

/** A key without metadata. */
export const NO_ARGUMENTS = 'nestjs-pgpubsub:no-arguments';

/** Nest's number for "body": its validation pipes check bodies and payloads, and skip "custom". */
export const PAYLOAD_PARAMETER = 3;
/** Nest's number for the context of a microservice's message. */
export const NOTIFICATION_PARAMETER = 6;

type Pipe = Type<PipeTransform> | PipeTransform;

/**
 * Injects the payload after these pipes:
 * `create(@Payload(ValidationPipe) order: Order, @Ctx() notification: Notification)`. A listener
 * without `@Payload()` and `@Ctx()` gets `(payload, notification)`. Throws `INVALID_LISTENER` on a
 * parameter of a constructor.
 */
export function Payload(...pipes: Pipe[]): ParameterDecorator;
/** Injects one property of the payload after pipes: `@Payload('id', ParseIntPipe) id: number`. */
export function Payload(property: string, ...pipes: Pipe[]): ParameterDecorator;
export function Payload(first?: string | Pipe, ...rest: Pipe[]): ParameterDecorator {
  if (typeof first === 'string') return parameter(PAYLOAD_PARAMETER, first, rest);
  return parameter(PAYLOAD_PARAMETER, undefined, first === undefined ? rest : [first, ...rest]);
}

/**
 * Injects the {@link Notification}: channel, context, manager, signal and the rest. Throws
 * `INVALID_LISTENER` on a parameter of a constructor.
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
    `expected @Payload() and @Ctx() on parameters of methods, got one on a parameter of the constructor of ${describeValue(target)}. ` +
      'Move it to the method of the listener.',
  );

const plain = (index: number) => ({ index, data: undefined, pipes: [] });

/** The default `(payload, notification)`: pipes run for parameters with metadata only. */
export const DEFAULT_PARAMETERS = {
  [`${PAYLOAD_PARAMETER}:0`]: plain(0),
  [`${NOTIFICATION_PARAMETER}:1`]: plain(1),
};
