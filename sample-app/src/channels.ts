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
