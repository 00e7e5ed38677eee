/**
 * Reads the usage of the server's notification queue, which holds what the slowest listening
 * session has not read: 0 to 1. Takes a lightweight lock briefly.
 */
export const readQueueUsage = 'select pg_notification_queue_usage()::text as usage';
