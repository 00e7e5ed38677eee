/** A name as SQL takes it literally: quoted, with its quotes doubled. */
export const quoteIdentifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;

export const quoteQualified = (schema: string, name: string): string =>
  `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;

/** A text as SQL takes it literally, whatever `standard_conforming_strings` says. */
export function quoteLiteral(text: string): string {
  const quoted = `'${text.replaceAll("'", "''").replaceAll('\\', '\\\\')}'`;
  return text.includes('\\') ? ` E${quoted}` : quoted;
}

/** An array of texts, for places that take no parameters. */
export const quoteTextArray = (texts: readonly string[]): string =>
  `array[${texts.map(quoteLiteral).join(', ')}]::text[]`;

/** Ends the bodies of functions; nothing a declaration says may contain it. */
export const DOLLAR_TAG = '$pgpubsub$';

/** The body of a function. A name in it may contain the tag: then with another one. */
export function dollarQuoted(text: string): string {
  let tag = DOLLAR_TAG;
  for (let n = 1; text.includes(tag); n++) tag = `$pgpubsub${n}$`;
  return tag + text + tag;
}
