import type { Attributes } from '@opentelemetry/api';
import { DEFAULT_NAME } from '../common/options.js';

/** Of the OpenTelemetry conventions for messaging, as far as they apply. */
const SYSTEM = 'messaging.system';
export const CHANNEL = 'messaging.destination.name';
export const LISTENER = 'messaging.consumer.group.name';
export const OPERATION = 'messaging.operation.name';
export const OPERATION_TYPE = 'messaging.operation.type';
export const MESSAGE_ID = 'messaging.message.id';
export const BATCH_SIZE = 'messaging.batch.message_count';
export const ERROR_TYPE = 'error.type';
/** Our own. */
export const DELIVERY = 'pgpubsub.delivery';
export const ATTEMPT = 'pgpubsub.attempt';
const INSTANCE = 'pgpubsub.instance';

/** What everything of an instance is marked with; its name only where it has one of its own. */
export const attributesOfInstance = (name: string): Attributes => ({
  [SYSTEM]: 'postgresql',
  ...(name !== DEFAULT_NAME && { [INSTANCE]: name }),
});
