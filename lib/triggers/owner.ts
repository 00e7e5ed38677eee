const COMMENT = 'pgpubsub:';

/** The comment on a generated function; only the DataSource of this owner changes it. */
export const commentOf = (owner: string): string => `${COMMENT}${owner}`;

export const ownerIn = (comment: string | null | undefined): string | undefined =>
  comment?.startsWith(COMMENT) ? comment.slice(COMMENT.length) : undefined;
