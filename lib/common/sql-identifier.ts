export const quoteIdentifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;

export const quoteQualified = (schema: string, name: string): string =>
  `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;

/** Quotes a text for any value of `standard_conforming_strings`. */
export function quoteLiteral(text: string): string {
  const quoted = `'${text.replaceAll("'", "''").replaceAll('\\', '\\\\')}'`;
  return text.includes('\\') ? ` E${quoted}` : quoted;
}

/** Renders an array of texts, for places that accept no parameters. */
export const quoteTextArray = (texts: readonly string[]): string =>
  `array[${texts.map(quoteLiteral).join(', ')}]::text[]`;

/** The delimiter of function bodies; declarations must not contain it. */
export const DOLLAR_TAG = '$pgpubsub$';

/** Quotes the body of a function, with another tag if a name in it contains the usual one. */
export function dollarQuoted(text: string): string {
  let tag = DOLLAR_TAG;
  for (let n = 1; text.includes(tag); n++) tag = `$pgpubsub${n}$`;
  return tag + text + tag;
}
