import type { Attributes } from '@opentelemetry/api';
import { DEFAULT_NAME } from '../common/options.js';

/** Names from the OpenTelemetry conventions for messaging. */
const SYSTEM = 'messaging.system';
export const CHANNEL = 'messaging.destination.name';
export const LISTENER = 'messaging.consumer.group.name';
export const OPERATION = 'messaging.operation.name';
export const OPERATION_TYPE = 'messaging.operation.type';
export const MESSAGE_ID = 'messaging.message.id';
export const BATCH_SIZE = 'messaging.batch.message_count';
export const ERROR_TYPE = 'error.type';
export const DELIVERY = 'pgpubsub.delivery';
export const ATTEMPT = 'pgpubsub.attempt';
const INSTANCE = 'pgpubsub.instance';

/** Returns the attributes that all metrics and spans of an instance have. */
export const attributesOfInstance = (name: string): Attributes => ({
  [SYSTEM]: 'postgresql',
  ...(name !== DEFAULT_NAME && { [INSTANCE]: name }),
});
