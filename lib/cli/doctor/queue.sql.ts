/**
 * How full the queue of notifications is that wait for the slowest listening session of the whole server: 0 to 1. Takes
 * a lightweight lock for a moment.
 */
export const readQueueUsage = 'select pg_notification_queue_usage()::text as usage';
