const COMMENT = 'pgpubsub:';

/** Whose an object is: only the owner's DataSource changes or drops it. */
export const commentOf = (owner: string): string => `${COMMENT}${owner}`;

export const ownerIn = (comment: string | null | undefined): string | undefined =>
  comment?.startsWith(COMMENT) ? comment.slice(COMMENT.length) : undefined;

/**
 * The role whose objects are ours, whatever their comments say, which every role can write: the owner of TypeORM's migrations
 * table (parameters: its schema and its name), where the current role may act for it; else the current role.
 */
export const owningRole = (schema: string, table: string): string => `coalesce(
    (select m.relowner from pg_class m join pg_namespace s on s.oid = m.relnamespace
      where s.nspname = ${schema} and m.relname = ${table} and m.relkind = 'r' and pg_has_role(m.relowner, 'member')),
    (select r.oid from pg_roles r where r.rolname = current_user))`;
