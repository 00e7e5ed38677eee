/**
 * The Standard Schema interface (https://standardschema.dev), as its authors ask libraries to restate it: what
 * zod, valibot, arktype and others implement.
 */
export interface StandardSchema<Output = unknown> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    /** Checks a value. */
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
  };
}

/** What a schema makes of a value: the value it has become, or what is wrong with it. */
export type SchemaResult<Output> =
  { readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly SchemaIssue[] };

/** One thing that is wrong with a value, and where in it. */
export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** `items.2.price: expected a number; …`: all issues in one line. */
export function describeIssues(issues: readonly SchemaIssue[]): string {
  return issues
    .map(({ message, path }) => (path?.length ? `${describePath(path)}: ${message}` : message))
    .join('; ');
}

const describePath = (path: NonNullable<SchemaIssue['path']>): string =>
  path.map((step) => String(typeof step === 'object' ? step.key : step)).join('.');
