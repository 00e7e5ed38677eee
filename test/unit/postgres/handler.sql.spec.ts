import { describe, expect, it } from 'vitest';
import {
  GUARDED_SETTINGS,
  readSettings,
  restoreSettings,
  setContext,
} from '../../../lib/postgres/handler.sql.js';
import { splitLiterals } from '../claims/fixtures.js';

/** A value for each setting that would end an unquoted literal. */
const HOSTILE = GUARDED_SETTINGS.map((_setting, index) => String.raw`'; drop table x; -- \' ${index} "\\`);

describe('GUARDED_SETTINGS', () => {
  it('has session_authorization before role, because setting it resets the role', () => {
    const [first, second] = GUARDED_SETTINGS;
    expect([first, second]).toEqual(['session_authorization', 'role']);
  });

  it('has each setting once', () => {
    expect(new Set(GUARDED_SETTINGS).size).toBe(GUARDED_SETTINGS.length);
  });
});

describe('readSettings()', () => {
  it('reads the settings in order, with empty texts for unset ones, and the id of the backend', () => {
    const { literals, rest } = splitLiterals(readSettings());
    const column = 'coalesce(pg_catalog.current_setting(?, true), ?)';
    expect(literals).toEqual(GUARDED_SETTINGS.flatMap((setting) => [setting, '']));
    expect(rest).toBe(`select ${GUARDED_SETTINGS.map(() => column).join(', ')}, pg_catalog.pg_backend_pid()`);
  });
});

describe('restoreSettings()', () => {
  it('quotes the values and keeps the order of the settings', () => {
    const { literals, rest } = splitLiterals(restoreSettings(HOSTILE));
    expect(literals.slice(0, -1)).toEqual(
      GUARDED_SETTINGS.flatMap((setting, index) => [setting, HOSTILE[index]]),
    );
    expect(rest).not.toContain('drop table');
    expect(rest.split(';')).toHaveLength(1);
  });

  it('sets the settings that differ for the transaction, with qualified names only', () => {
    const { rest } = splitLiterals(restoreSettings(HOSTILE));
    const rows = GUARDED_SETTINGS.map(() => '(?, ?)').join(', ');
    expect(
      rest
        .replaceAll('( ?', '(?')
        .replaceAll(', ,', ',')
        .replaceAll(/,\s+\?/g, ', ?'),
    ).toBe(
      `select pg_catalog.set_config(s.name, s.value, true) from (values ${rows}) as s(name, value) ` +
        'where coalesce(pg_catalog.current_setting(s.name, true), ?) operator(pg_catalog.<>) s.value',
    );
  });

  it('treats a missing value as an empty one', () => {
    expect(splitLiterals(restoreSettings([])).literals).toEqual([
      ...GUARDED_SETTINGS.flatMap((setting) => [setting, '']),
      '',
    ]);
  });
});

describe('setContext()', () => {
  it('quotes the context', () => {
    const context = JSON.stringify({ name: String.raw`it's \ "x"` });
    expect(splitLiterals(setContext(context)).literals).toEqual([context]);
    expect(splitLiterals(setContext(context)).rest).toMatch(/^set local pgpubsub\.context = +\?$/);
  });
});
