const COMMENT = 'pgpubsub:';

/** The comment on a function that a declaration generates: only the DataSource of this owner changes or drops it. */
export const commentOf = (owner: string): string => `${COMMENT}${owner}`;

export const ownerIn = (comment: string | null | undefined): string | undefined =>
  comment?.startsWith(COMMENT) ? comment.slice(COMMENT.length) : undefined;

/** Parameters of a statement that reads the owning role. */
export interface RoleParameters {
  /** The schema of TypeORM's migrations table. */
  readonly schema: string;
  /** Its name. */
  readonly table: string;
  /** The role that was named by the option `role`, or null. */
  readonly role: string;
}

/**
 * The role whose objects are ours, whatever their comments say, which every role can write: the role that was named; else the
 * owner of TypeORM's migrations table; else the current role.
 */
export const owningRole = ({ schema, table, role }: RoleParameters): string => `coalesce(
    (select r.oid from pg_roles r where r.rolname = ${role}),
    (select m.relowner from pg_class m join pg_namespace s on s.oid = m.relnamespace
      where ${role}::text is null and s.nspname = ${schema} and m.relname = ${table} and m.relkind = 'r'),
    (select r.oid from pg_roles r where ${role}::text is null and r.rolname = current_user))`;
