import { readFileSync } from 'node:fs';
import * as api from 'nestjs-pgpubsub';
import { describe, expect, it } from 'vitest';

/** Returns the names of the types that lib/index.ts exports, which do not exist at run time. */
function exportedTypes(): string[] {
  const source = readFileSync(new URL('../../lib/index.ts', import.meta.url), 'utf8');
  const lists = [...source.matchAll(/^export type \{(?<names>[^}]*)\}/gm)];
  return lists.flatMap(({ groups }) => groups?.['names']?.match(/\w+(?=,|\s*$)/g) ?? []);
}

describe('the public API', () => {
  it('has exactly these values', () => {
    expect(Object.keys(api).toSorted()).toEqual([
      'ACKNOWLEDGED',
      'ChannelDefinition',
      'Ctx',
      'DELIVERIES',
      'ERROR_CODES',
      'InjectPubSub',
      'Listener',
      'MAX_NOTIFY_BYTES',
      'NonRetryableError',
      'NotifyChanges',
      'OVERFLOW_POLICIES',
      'OnChange',
      'OnDelete',
      'OnGap',
      'OnInsert',
      'OnTruncate',
      'OnUpdate',
      'PGPUBSUB_CONTEXT',
      'Payload',
      'PgPubSubError',
      'PgPubSubModule',
      'PubSubService',
      'createNotificationStorage',
      'createNotifyTrigger',
      'defineChannel',
      'dropNotificationStorage',
      'dropNotifyTrigger',
      'getPubSubToken',
      'withPgPubSub',
    ]);
  });

  it('has exactly these types', () => {
    expect(exportedTypes().toSorted()).toEqual([
      'BatchOptions',
      'BufferOptions',
      'ChannelBacklog',
      'ChannelLike',
      'ChannelOptions',
      'ConnectionState',
      'DeadLetter',
      'DeadLetterOptions',
      'Delivery',
      'EntityChange',
      'EntityClass',
      'Gap',
      'GapHandlerOptions',
      'Health',
      'HeartbeatOptions',
      'InTransactionOptions',
      'JsonObject',
      'ListenerOptions',
      'Notification',
      'NotificationBatch',
      'NotificationStorageLiterals',
      'NotificationStream',
      'NotifyChangesOptions',
      'NotifyOptions',
      'NotifyTriggerLiterals',
      'Operation',
      'OverflowPolicy',
      'PauseOptions',
      'PayloadCodec',
      'PayloadOf',
      'PendingNotification',
      'PgPubSubErrorCode',
      'PgPubSubExtras',
      'PgPubSubOptions',
      'PollOptions',
      'PubSubEvent',
      'PubSubStatus',
      'ReconnectOptions',
      'RetryOptions',
      'SchemaIssue',
      'SchemaResult',
      'SqlExecutor',
      'StandardSchema',
      'StatusOptions',
      'StoredFilter',
      'StoredNotifications',
      'TransactionalWork',
      'TriggerDeclaration',
      'WithPgPubSubOptions',
    ]);
  });
});
