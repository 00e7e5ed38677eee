import { describe, expect, it } from 'vitest';
import { completeClaim } from '../../../lib/claims/claim.sql.js';
import { GUARDED_SETTINGS } from '../../../lib/postgres/handler.sql.js';
import { splitLiterals } from './fixtures.js';

const VALUES = GUARDED_SETTINGS.map((_setting, index) => String.raw`it's \ ${index}; drop table y`);
const SCHEMA = 'my "app"';
const FUNCTION = '"my ""app"""."pgpubsub_complete"';

describe('completeClaim()', () => {
  it('returns only a commit when no row was handled and no setting has to be verified', () => {
    expect(completeClaim(SCHEMA, [])).toBe('commit');
  });

  it('returns one text that completes the handled rows and commits', () => {
    expect(completeClaim(SCHEMA, ['5', '9223372036854775807'])).toBe(
      `select ${FUNCTION}('{5,9223372036854775807}'::pg_catalog.int8[], null::text[], null::text[]); commit`,
    );
  });

  it.each([[['5', '6']], [[]]])(
    'includes the settings to verify with quoted values, for the rows %j',
    (handled) => {
      const { literals, rest } = splitLiterals(completeClaim(SCHEMA, handled, VALUES));
      expect(literals).toEqual([`{${handled.join(',')}}`, ...GUARDED_SETTINGS, ...VALUES]);
      const list = GUARDED_SETTINGS.map(() => '?').join(', ');
      expect(rest.replaceAll(/ +\?/g, ' ?').replaceAll('[ ?', '[?')).toBe(
        `select ${FUNCTION}(?::pg_catalog.int8[], array[${list}], array[${list}]); commit`,
      );
    },
  );
});
