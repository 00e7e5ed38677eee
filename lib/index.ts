/**
 * The main entry point: the module, channels, decorators, the service, and helpers for migrations.
 *
 * @module nestjs-pgpubsub
 */
export { ChannelDefinition, defineChannel } from './channels/channel.definition.js';
export { DELIVERIES } from './channels/channel.options.js';
export type { ChannelOptions, Delivery, PayloadCodec } from './channels/channel.options.js';
export type { ChannelLike, PayloadOf } from './channels/channel.registry.js';
export type { EntityChange, EntityClass, Operation } from './channels/entity-change.js';
export type { Notification, NotificationBatch } from './channels/notification.js';
export { MAX_NOTIFY_BYTES } from './channels/payload.codec.js';
export type { SchemaIssue, SchemaResult, StandardSchema } from './channels/standard-schema.js';
export { ERROR_CODES, NonRetryableError, PgPubSubError } from './common/errors.js';
export type { PgPubSubErrorCode } from './common/errors.js';
export type { ConnectionState, PubSubEvent, Gap } from './common/events.js';
export type { JsonObject } from './common/json.js';
export type {
  BatchOptions,
  BufferOptions,
  DeadLetterOptions,
  HeartbeatOptions,
  PgPubSubExtras,
  PgPubSubOptions,
  PollOptions,
  ReconnectOptions,
  RetryOptions,
} from './common/options.js';
export { OVERFLOW_POLICIES } from './common/overflow.js';
export type { OverflowPolicy } from './common/overflow.js';
export type { SqlExecutor } from './common/sql-executor.js';
export { ACKNOWLEDGED } from './listeners/exception-filters.js';
export {
  Listener,
  OnChange,
  OnDelete,
  OnGap,
  OnInsert,
  OnTruncate,
  OnUpdate,
} from './listeners/listener.decorator.js';
export type { GapHandlerOptions, ListenerOptions } from './listeners/listener.options.js';
export { PGPUBSUB_CONTEXT } from './listeners/listener.invoker.js';
export { Ctx, Payload } from './listeners/parameters.decorator.js';
export type { ChannelBacklog } from './observability/backlog.js';
export type { Health, StatusOptions } from './observability/health.js';
export type { PubSubStatus } from './observability/pubsub.status.js';
export { InjectPubSub, PgPubSubModule, getPubSubToken } from './pg-pubsub.module.js';
export type { NotifyOptions } from './publishing/notify-options.js';
export { PubSubService } from './pubsub.service.js';
export type { NotificationStream } from './pubsub.service.js';
export type { PauseOptions } from './instance/channel-pauses.js';
export type { InTransactionOptions, TransactionalWork } from './publishing/transaction-settings.js';
export { createNotificationStorage, dropNotificationStorage } from './triggers/storage-helpers.js';
export type { NotificationStorageLiterals } from './triggers/storage-helpers.js';
export type { DeadLetter, PendingNotification, StoredNotifications } from './store/stored-notifications.js';
export type { StoredFilter } from './store/stored-filter.js';
export { createNotifyTrigger, dropNotifyTrigger } from './triggers/migration-helpers.js';
export type { NotifyTriggerLiterals } from './triggers/trigger-literals.js';
export { NotifyChanges } from './triggers/notify-changes.decorator.js';
export type { NotifyChangesOptions } from './triggers/notify-changes.options.js';
export type { TriggerDeclaration } from './triggers/trigger.resolver.js';
export { withPgPubSub } from './triggers/with-pg-pubsub.js';
export type { WithPgPubSubOptions } from './triggers/database.js';
