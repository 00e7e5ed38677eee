import { defineChannel } from 'nestjs-pgpubsub';
import { z } from 'zod';

const id = z.int().positive();

/** A post has been read, on this day (UTC). Each read counts: it is stored, and handled exactly once. */
export const PostReads = defineChannel('post_reads', {
  delivery: 'exactly-once',
  schema: z.object({ postId: id, date: z.iso.date() }),
});

/** A post is no longer what it was: forget what you remember of it. Sent in the transaction that changes it. */
export const PostChanged = defineChannel('post_changed', {
  schema: z.object({ id }),
});

/** An edition is to be printed. Given up after a few seconds, so that one can watch it. */
export const Printing = defineChannel('printing', {
  delivery: 'exactly-once',
  schema: z.object({ editionId: id }),
  retry: { maxAttempts: 3, minDelayMs: 1_000, maxDelayMs: 2_000 },
});

/** A listener has failed with a stored notification; `delayMs` is null when it has become a dead letter. */
export const ListenerFailed = defineChannel('listener_failed', {
  schema: z.object({
    process: z.string(),
    channel: z.string(),
    id: z.string(),
    attempt: z.int(),
    delayMs: z.number().nullable(),
  }),
});
