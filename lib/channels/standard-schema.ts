/**
 * The Standard Schema interface (https://standardschema.dev) of zod, valibot, arktype and others,
 * restated as its authors ask libraries to do.
 */
export interface StandardSchema<Output = unknown> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    /** Validates a value, and transforms it. */
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
  };
}

/** The result of a schema: the transformed value, or its issues. */
export type SchemaResult<Output> =
  { readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly SchemaIssue[] };

/** A fault of a value, and its place. */
export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** Renders all issues in one line: `items.2.price: expected a number; …`. */
export function describeIssues(issues: readonly SchemaIssue[]): string {
  return issues
    .map(({ message, path }) => (path?.length ? `${describePath(path)}: ${message}` : message))
    .join('; ');
}

const describePath = (path: NonNullable<SchemaIssue['path']>): string =>
  path.map((step) => String(typeof step === 'object' ? step.key : step)).join('.');
