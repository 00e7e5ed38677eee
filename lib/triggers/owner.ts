const COMMENT = 'pgpubsub:';

/** The comment on a function that a declaration generates: only the DataSource of this owner changes or drops it. */
export const commentOf = (owner: string): string => `${COMMENT}${owner}`;

export const ownerIn = (comment: string | null | undefined): string | undefined =>
  comment?.startsWith(COMMENT) ? comment.slice(COMMENT.length) : undefined;
