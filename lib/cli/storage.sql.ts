/** Reads whether the table $1 (quoted name) exists. Locks nothing. */
export const tableExists = 'select to_regclass($1) is not null as found';
