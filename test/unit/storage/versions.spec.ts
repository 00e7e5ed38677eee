import { describe, expect, it } from 'vitest';
import { commentOf, ownerIn } from '../../../lib/triggers/owner.js';
import { comparableSettings, TEXT_SETTINGS, textSettings } from '../../../lib/storage/text-settings.sql.js';
import { VERSIONS, markComment, newestVersion, readMark } from '../../../lib/storage/versions.js';

const OWNERS = [
  'public.migrations',
  'a:b',
  "it's",
  'a "quoted" name',
  ':',
  'pgpubsub:a',
  'a:v1 from v1',
  'a\nb',
  ' ',
  'é\u{1F600}',
];

describe('the mark of a storage', () => {
  it('names owner, version and the oldest version that it serves', () => {
    expect(markComment({ owner: 'public.migrations', number: 3, servesFrom: 2 })).toBe(
      'pgpubsub:public.migrations:v3 from v2',
    );
  });

  it.each(OWNERS)('contains the owner %j unchanged', (owner) => {
    const mark = { owner, number: 12, servesFrom: 10 };
    expect(readMark(markComment(mark))).toEqual(mark);
  });

  it.each([
    null,
    '',
    'a comment of others',
    'pgpubsub::v1 from v1',
    'pgpubsub:public.migrations',
    'pgpubsub:public.migrations:v1',
    'pgpubsub:public.migrations:v1 from v',
    'pgpubsub:public.migrations:v1 from v1 ',
    'pgpubsub:public.migrations:v1 from v1\n',
    ' pgpubsub:public.migrations:v1 from v1',
    'pgpubsub:public.migrations:vx from v1',
  ])('cannot be read from %j', (comment) => {
    expect(readMark(comment)).toBeUndefined();
  });
});

describe('the owner of a function', () => {
  it.each([...OWNERS, ''])('is read from its comment: %j', (owner) => {
    expect(ownerIn(commentOf(owner))).toBe(owner);
  });

  it.each([null, undefined, '', 'a comment of others', ' pgpubsub:a'])(
    'cannot be read from the comment %j',
    (comment) => {
      expect(ownerIn(comment)).toBeUndefined();
    },
  );
});

describe('the versions of the storage', () => {
  it('are numbered without gaps, and each serves itself', () => {
    expect(VERSIONS.map(({ number }) => number)).toEqual(VERSIONS.map((_, index) => index + 1));
    expect(newestVersion()).toBe(VERSIONS.at(-1));
    for (const { number, servesFrom } of VERSIONS) expect(servesFrom).toBeLessThanOrEqual(number);
  });

  const storage = { schema: 'The "s"', migrationsSchema: "it's", migrationsTable: 'm' };
  it.each(VERSIONS)('qualify all names with the schema, and have a way back: version $number', (version) => {
    const place = { storage, serverVersion: 180_000 };
    const up = version.up(place).join(';\n');
    const created = [...up.matchAll(/^create (?:or replace )?(table|function) "The ""s"""\."(\w+)"/gm)];
    const kinds = /^(?:table|function) /;
    expect(created.map(([, kind, name]) => `${kind} ${name}`).toSorted()).toEqual(
      Object.keys(version.objects)
        .filter((name) => kinds.test(name))
        .toSorted(),
    );
    const down = version.down(place).join(';\n');
    for (const [, , name] of created) expect(down).toContain(`"The ""s"""."${name}"`);
    expect(up).not.toMatch(/[^."]\bpgpubsub_(?:notification|dead_letter|process|channel)\b(?! on |_)(?!_)/);
  });

  it.each(VERSIONS)('list all of their indexes for verification: version $number', (version) => {
    const up = version.up({ storage, serverVersion: 180_000 }).join(';\n');
    const indexes = [...up.matchAll(/^create index (\w+) on/gm)].map(([, name]) => `index ${name}`);
    expect(
      Object.keys(version.objects)
        .filter((name) => name.startsWith('index'))
        .toSorted(),
    ).toEqual(indexes.toSorted());
  });

  it('contain no backslash, which older versions of TypeORM drop in migrations', () => {
    for (const { up, down } of VERSIONS) {
      const place = { storage, serverVersion: 180_000 };
      expect([...up(place), ...down(place)].join()).not.toContain('\\');
    }
  });
});

describe('the settings of trigger functions', () => {
  it('are compared without extra_float_digits, the case of names and the order', () => {
    const settings = [
      'DateStyle=ISO',
      'extra_float_digits=0',
      'bytea_output=hex',
      'IntervalStyle=postgres',
      'search_path=pg_catalog, pg_temp',
    ];
    expect(comparableSettings(settings)).toBe(comparableSettings(TEXT_SETTINGS));
    expect(comparableSettings(null)).toBe('');
  });

  it.each([
    ['another search path', ['search_path=public']],
    ['other digits', ['extra_float_digits=3']],
    ['one setting more', [...TEXT_SETTINGS, 'work_mem=64kB']],
    ['one setting less', TEXT_SETTINGS.slice(1)],
  ])('differ by %s', (_, settings) => {
    expect(comparableSettings(settings)).not.toBe(comparableSettings(TEXT_SETTINGS));
  });

  it('have the default extra_float_digits of the server version', () => {
    expect(textSettings(110_000)).toContain("extra_float_digits = '0'");
    expect(textSettings(120_000)).toContain("extra_float_digits = '1'");
  });
});
