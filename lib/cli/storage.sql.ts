/** Is there a table of this name? $1 its quoted name. Locks nothing. */
export const tableExists = 'select to_regclass($1) is not null as found';
