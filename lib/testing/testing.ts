/**
 * Tools for tests: listeners without a database, and `drain()` for stored notifications.
 *
 * @module nestjs-pgpubsub/testing
 */
export type { SentNotification } from './delivery-record.js';
export { drain, pending } from './drain.js';
export type { DrainOptions } from './drain.js';
export type { PublishedChange } from './entity-deliveries.js';
export { PgPubSubTestingModule } from './pg-pubsub-testing.module.js';
export type { TestingEntities } from './pg-pubsub-testing.module.js';
export { PubSubTester } from './pubsub.tester.js';
export type { PublishOptions } from './pubsub.tester.js';
