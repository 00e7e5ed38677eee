const COMMENT = 'pgpubsub:';

/** Whose an object is: only the owner's DataSource changes or drops it. */
export const commentOf = (owner: string): string => `${COMMENT}${owner}`;

export const ownerIn = (comment: string | null | undefined): string | undefined =>
  comment?.startsWith(COMMENT) ? comment.slice(COMMENT.length) : undefined;
