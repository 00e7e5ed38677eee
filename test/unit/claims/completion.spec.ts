import { describe, expect, it } from 'vitest';
import { COMPLETION_REFUSED, completeClaim } from '../../../lib/claims/claim.sql.js';
import { GUARDED_SETTINGS } from '../../../lib/postgres/handler.sql.js';
import { splitLiterals } from './fixtures.js';

const VALUES = GUARDED_SETTINGS.map((_setting, index) => String.raw`it's \ ${index}; drop table y`);
const SCHEMA = 'my "app"';
const TABLE = '"my ""app"""."pgpubsub_notification"';

describe('completeClaim()', () => {
  it('only commits, where nothing was handled and nothing has to be verified', () => {
    expect(completeClaim(SCHEMA, [])).toBe('commit');
    expect(completeClaim(SCHEMA, [], { settings: undefined })).toBe('commit');
  });

  it('deletes what was handled and commits, in one text', () => {
    expect(completeClaim(SCHEMA, ['5', '9223372036854775807'])).toBe(
      `delete from ${TABLE} where id operator(pg_catalog.=) any('{5,9223372036854775807}'::pg_catalog.int8[]); commit`,
    );
  });

  it('raises instead of committing when fewer rows are deleted than were handled', () => {
    const { literals, rest } = splitLiterals(completeClaim(SCHEMA, ['5', '6', '7'], { settings: undefined }));
    expect(rest).toMatch(
      /^with gone as \(delete from [^]* returning 1\) select [^]* from gone having [^;]*; commit$/,
    );
    expect(rest).toContain(TABLE);
    expect(rest).toContain('having pg_catalog.count(*) operator(pg_catalog.<>) 3; commit');
    expect(rest).toContain('pg_catalog.concat(?, pg_catalog.count(*), ?)::pg_catalog.int4');
    expect(literals).toEqual(['{5,6,7}', `${COMPLETION_REFUSED} `, ' of 3']);
  });

  it('raises instead of committing when a handler has left other settings', () => {
    const { literals, rest } = splitLiterals(completeClaim(SCHEMA, ['5'], { settings: VALUES }));
    expect(rest).toMatch(
      /having pg_catalog\.count\(\*\) operator\(pg_catalog\.<>\) 1 or pg_catalog\.concat_ws\(/,
    );
    expect(literals.at(-1)).toBe(VALUES.join('\u0001'));
    expect(rest).not.toContain('drop table');
    expect(rest).toMatch(/; commit$/);
  });

  it('verifies settings also where nothing was handled', () => {
    const { literals, rest } = splitLiterals(completeClaim(SCHEMA, [], { settings: VALUES }));
    expect(rest).toMatch(
      /^select pg_catalog\.concat\([^]*\)::pg_catalog\.int4 where pg_catalog\.concat_ws\([^]*; commit$/,
    );
    expect(rest).not.toContain('delete');
    expect(literals[0]).toBe(`${COMPLETION_REFUSED} `);
    expect(literals.at(-1)).toBe(VALUES.join('\u0001'));
  });

  it('calls no function or operator by a name that a search_path of the handler could replace', () => {
    for (const settings of [undefined, VALUES]) {
      const { rest } = splitLiterals(completeClaim(SCHEMA, ['5'], { settings }));
      const calls = [...rest.matchAll(/(\S*?)([a-z_]+)\(/g)].map(
        ([, prefix, name]) => [prefix, name] as const,
      );
      for (const [prefix, name] of calls)
        expect(
          ['operator', 'any', 'as', 'coalesce'].includes(String(name)) || prefix?.endsWith('pg_catalog.'),
          name,
        ).toBe(true);
      expect(rest.replaceAll(/operator\(pg_catalog\.[^)]*\)/g, '')).not.toMatch(/[<>=]|\|\|/);
    }
  });
});
