/** A name as SQL takes it literally: quoted, with its quotes doubled. */
export const quoteIdentifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;
