import { defineChannel } from 'nestjs-pgpubsub';
import { z } from 'zod';

const id = z.int().positive();

/** A post was read on this day (UTC). Each read is stored and handled exactly once. */
export const PostReads = defineChannel('post_reads', {
  delivery: 'exactly-once',
  schema: z.object({ postId: id, date: z.iso.date() }),
});

/** A post was changed. Every process drops it from its cache. */
export const PostChanged = defineChannel('post_changed', {
  schema: z.object({ id }),
});

/** An edition is to be printed. Becomes a dead letter after three attempts within a few seconds. */
export const Printing = defineChannel('printing', {
  delivery: 'exactly-once',
  schema: z.object({ editionId: id }),
  retry: { maxAttempts: 3, minDelayMs: 1_000, maxDelayMs: 2_000 },
});

/** A listener failed on a stored notification. `delayMs` is null when it became a dead letter. */
export const ListenerFailed = defineChannel('listener_failed', {
  schema: z.object({
    process: z.string(),
    channel: z.string(),
    id: z.string(),
    attempt: z.int(),
    delayMs: z.number().nullable(),
  }),
});
