import { afterEach, describe, expect, it } from 'vitest';
import { createSteps, diffStorage, migrationSql, type StorageState } from '../../../lib/storage/state.js';
import { VERSIONS, markComment, newestVersion, type StorageVersion } from '../../../lib/storage/versions.js';
import { rejectionOf } from '../support/recording.js';
import { downs, ups } from '../support/steps.js';

const OWNER = 'public.migrations';
const SCHEMA = 'public';
const place = {
  storage: { schema: SCHEMA, migrationsSchema: 'public', migrationsTable: 'migrations' },
  serverVersion: 180_000,
};
const NONE: StorageState = {
  place,
  schemaExists: true,
  objects: [],
  exists: false,
  mark: undefined,
  others: [],
};

type Found = StorageState['objects'][number];
const FOUND = {
  expected: true,
  trusted: true,
  role: 'postgres',
  comment: null,
  source: null,
  definition: null,
} as const;

const objects: readonly Found[] = Object.entries(newestVersion().objects).map(([object, hash]) => {
  const [kind = '', name = ''] = object.split(' ');
  return { ...FOUND, kind: kind as Found['kind'], name, hash };
});

/** The state of a storage as the library creates it. */
const existing = (mark: Partial<NonNullable<StorageState['mark']>> = {}): StorageState => ({
  ...NONE,
  exists: true,
  objects,
  mark: { owner: OWNER, number: 1, servesFrom: 1, ...mark },
});

const objectsIn = (differences: readonly { object: string; kind: string }[]) =>
  differences.map(({ kind, object }) => `${kind}: ${object}`);
const NOTHING = { create: [], drop: [], dropped: [], differences: [] };

const second: StorageVersion = {
  number: 2,
  servesFrom: 1,
  up: ({ storage: { schema } }) => [
    `alter table "${schema}".n add a int`,
    `alter table "${schema}".n add b int`,
  ],
  down: ({ storage: { schema } }) => [`alter table "${schema}".n drop b`, `alter table "${schema}".n drop a`],
  objects: {},
};
afterEach(() => VERSIONS.splice(1));

describe('a missing storage', () => {
  it('is created when it is needed, and dropped by the down migration', () => {
    const { create, drop, differences } = diffStorage(NONE, OWNER, true);
    expect(objectsIn(differences)).toEqual([
      'missing: table public.pgpubsub_channel',
      'missing: table public.pgpubsub_dead_letter',
      'missing: table public.pgpubsub_notification',
      'missing: table public.pgpubsub_process',
    ]);
    expect(ups(create)).toEqual([
      ...newestVersion().up(place),
      `comment on table "public"."pgpubsub_notification" is '${markComment({ owner: OWNER, ...newestVersion() })}'`,
    ]);
    expect(downs(create)).toEqual(newestVersion().down(place));
    expect(drop).toEqual([]);
  });

  it('makes no difference when it is not needed', () => {
    expect(diffStorage(NONE, OWNER, false)).toEqual(NOTHING);
  });

  it('is created together with its schema', () => {
    const { create } = diffStorage({ ...NONE, schemaExists: false }, OWNER, true);
    expect(ups(create)[0]).toBe('create schema "public"');
    expect(downs(create).at(-1)).toBe('drop schema "public"');
  });

  it('is created with a quoted owner in its comment', () => {
    const comment = ups(createSteps(place, "it's:mine")).at(-1);
    expect(comment).toBe(
      `comment on table "public"."pgpubsub_notification" is 'pgpubsub:it''s:mine:v1 from v1'`,
    );
  });
});

describe('a storage of the newest version', () => {
  it.each([true, false])(
    'makes no difference when it is needed, no matter which application owns it (owned by this one: %s)',
    (isOurs) => {
      expect(diffStorage(existing({ owner: isOurs ? OWNER : 'theirs' }), OWNER, true)).toEqual(NOTHING);
    },
  );

  it('is dropped when it is no longer needed, and created again by the down migration', () => {
    const { create, drop, differences } = diffStorage(existing(), OWNER, false);
    expect(create).toEqual([]);
    expect(objectsIn(differences)).toEqual(['obsolete: storage in schema public']);
    expect(ups(drop)).toEqual(newestVersion().down(place));
    expect(downs(drop)).toEqual(ups(createSteps(place, OWNER)));
  });

  it('is not dropped when another application owns it', () => {
    expect(diffStorage(existing({ owner: 'theirs' }), OWNER, false)).toEqual(NOTHING);
  });

  it('gets a new mark when its mark is missing, which the down migration removes', () => {
    const { create, differences } = diffStorage({ ...existing(), mark: undefined }, OWNER, true);
    expect(objectsIn(differences)).toEqual(['drifted: storage in schema public (its comment is missing)']);
    expect(ups(create)).toEqual([
      `comment on table "public"."pgpubsub_notification" is 'pgpubsub:public.migrations:v1 from v1'`,
    ]);
    expect(downs(create)).toEqual(['comment on table "public"."pgpubsub_notification" is null']);
    expect(diffStorage({ ...existing(), mark: undefined }, OWNER, false)).toEqual(NOTHING);
  });
});

describe('a storage in another schema', () => {
  const others = (owner: string) => [{ schema: 'old "s"', mark: { owner, number: 1, servesFrom: 1 } }];

  it('is dropped after the new one is created, if the owner is the same', () => {
    const { create, drop, differences } = diffStorage({ ...NONE, others: others(OWNER) }, OWNER, true);
    expect(objectsIn(differences)).toEqual([
      'missing: table public.pgpubsub_channel',
      'missing: table public.pgpubsub_dead_letter',
      'missing: table public.pgpubsub_notification',
      'missing: table public.pgpubsub_process',
      'obsolete: storage in schema old "s"',
    ]);
    expect(ups(create)).toEqual(ups(createSteps(place, OWNER)));
    const elsewhere = { ...place, storage: { ...place.storage, schema: 'old "s"' } };
    expect(ups(drop)).toEqual(newestVersion().down(elsewhere));
    expect(downs(drop)).toEqual(ups(createSteps(elsewhere, OWNER)));
  });

  it('is ignored if the owner is another application', () => {
    expect(diffStorage({ ...existing(), others: others('theirs') }, OWNER, true)).toEqual(NOTHING);
    expect(diffStorage({ ...NONE, others: others('theirs') }, OWNER, false)).toEqual(NOTHING);
  });
});

describe('an older storage', () => {
  it('is upgraded by its owner, and the down migration restores its mark', () => {
    VERSIONS.push(second);
    const { create, drop, differences } = diffStorage(existing(), OWNER, true);
    expect(objectsIn(differences)).toEqual(['drifted: storage in schema public (version 1 instead of 2)']);
    const comment = (number: number) =>
      `comment on table "public"."pgpubsub_notification" is 'pgpubsub:public.migrations:v${number} from v1'`;
    expect(ups(create)).toEqual([...second.up(place), comment(2)]);
    expect(downs(create)).toEqual([comment(1), ...second.down(place)]);
    expect(drop).toEqual([]);
    expect(migrationSql(existing(), OWNER)).toEqual(ups(create));
  });

  it('is rejected when another application owns it, which has to upgrade it', () => {
    VERSIONS.push(second);
    expect(rejectionOf(() => diffStorage(existing({ owner: 'theirs' }), OWNER, true))).toBe(
      'SCHEMA_DRIFTED: expected version 2 of the storage in the schema "public", got version 1, which belongs to "theirs". ' +
        'Migrate "theirs" first, with the same version of nestjs-pgpubsub; or give withPgPubSub() another "schema", or, if "theirs" ' +
        'is the former name of "public.migrations", the option "owner".',
    );
  });

  it('is dropped with the statements of its own version when it is not needed', () => {
    VERSIONS.push(second);
    const { drop } = diffStorage(existing(), OWNER, false);
    expect(ups(drop)).toEqual(VERSIONS[0]?.down(place));
    const { drop: both } = diffStorage(existing({ number: 2 }), OWNER, false);
    expect(ups(both).slice(1)).toEqual([...second.down(place), ...(VERSIONS[0]?.down(place) ?? [])]);
    expect(downs(both)).toEqual(ups(createSteps(place, OWNER)));
  });

  it('is created by a handwritten migration that names its version', () => {
    VERSIONS.push(second);
    expect(ups(createSteps(place, OWNER, 1)).at(-1)).toContain(':v1 from v1');
    expect(ups(createSteps(place, OWNER)).at(-1)).toContain(':v2 from v1');
  });
});

describe('a newer storage', () => {
  it.each([OWNER, 'theirs'])('owned by %s is used while it serves this version', (owner) => {
    const newer = { ...existing({ owner, number: 2, servesFrom: 1 }), objects: [] };
    expect(diffStorage(newer, OWNER, true)).toEqual(NOTHING);
  });

  it.each([OWNER, 'theirs'])('owned by %s is rejected when it does not serve this version', (owner) => {
    expect(rejectionOf(() => diffStorage(existing({ owner, number: 3, servesFrom: 2 }), OWNER, true))).toBe(
      'SCHEMA_DRIFTED: expected version 1 of the storage in the schema "public", got version 3, which serves libraries of version 2 ' +
        'and later. Upgrade nestjs-pgpubsub in this application.',
    );
  });

  it('is not dropped by an older library, which does not know its objects', () => {
    const mark = { owner: OWNER, number: 2, servesFrom: 1 };
    expect(diffStorage(existing(mark), OWNER, false)).toEqual(NOTHING);
    expect(diffStorage({ ...existing(), others: [{ schema: 'old', mark }] }, OWNER, true)).toEqual(NOTHING);
  });
});

describe('an object of the storage', () => {
  const changed = (change: (found: Found) => readonly Found[], owner = OWNER) =>
    diffStorage({ ...existing({ owner }), objects: objects.flatMap(change) }, OWNER, true);

  it.each(Object.keys(newestVersion().objects))(
    'is reported but not repaired after a manual change: %s',
    (object) => {
      const isIt = ({ kind, name }: Found) => `${kind} ${name}` === object;
      const reported = object.replace(' ', ' public.');
      for (const owner of [OWNER, 'theirs']) {
        const other = changed((found) => (isIt(found) ? [{ ...found, hash: 'other' }] : [found]), owner);
        const isGone = changed((found) => (isIt(found) ? [] : [found]), owner);
        const isDouble = changed((found) => (isIt(found) ? [found, found] : [found]), owner);
        expect([other, isGone, isDouble]).toEqual(
          ['drifted', 'missing', 'drifted'].map((kind) => ({
            create: [],
            drop: [],
            dropped: [],
            differences: [{ kind, object: reported, byHand: true }],
          })),
        );
      }
    },
  );

  it('is ignored when it does not belong to the storage', () => {
    const other: Found = { ...FOUND, kind: 'index', name: 'pgpubsub_notification_mine', hash: 'mine' };
    expect(diffStorage({ ...existing(), objects: [...objects, other] }, OWNER, true)).toEqual(NOTHING);
  });
});

describe('the function that reads the list of migrations', () => {
  const reader =
    newestVersion()
      .up(place)
      .find((statement) => statement.includes('pgpubsub_schema_version"() returns')) ?? '';
  const source = (statement: string) => statement.split('$pgpubsub$')[1] ?? '';
  const withSource = (body: string, owner = OWNER): StorageState => ({
    ...existing({ owner }),
    objects: objects.map((found) =>
      found.name === 'pgpubsub_schema_version'
        ? { ...found, source: body, definition: 'the definition' }
        : found,
    ),
  });

  it('makes no difference when it is unchanged', () => {
    expect(diffStorage(withSource(source(reader)), OWNER, true)).toEqual(NOTHING);
  });

  it('is replaced when its owner renames the table, but not by another application', () => {
    const renamed = source(reader).replace('"migrations"', '"renamed"');
    expect(diffStorage(withSource(renamed), OWNER, true)).toEqual({
      create: [{ up: reader, down: 'the definition' }],
      drop: [],
      dropped: [],
      differences: [{ kind: 'drifted', object: 'function public.pgpubsub_schema_version' }],
    });
    expect(diffStorage(withSource(renamed, 'theirs'), OWNER, true)).toEqual(NOTHING);
  });
});

describe('migrationSql()', () => {
  it('returns the statements that create the storage, even when it is up to date', () => {
    const created = ups(createSteps(place, OWNER));
    expect(migrationSql(NONE, OWNER)).toEqual(created);
    expect(migrationSql(existing(), OWNER)).toEqual(created);
    expect(migrationSql({ ...NONE, schemaExists: false }, OWNER).slice(0, 2)).toEqual([
      'create schema "public"',
      created[0],
    ]);
  });
});
