import { PgPubSubModule, createNotifyTrigger, defineChannel, withPgPubSub } from 'nestjs-pgpubsub';
import { DataSource, type QueryRunner } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { CHANNEL_OPTIONS, DELIVERY_OPTIONS } from '../../../lib/channels/channel.options.js';
import { ChannelRegistry } from '../../../lib/channels/channel.registry.js';
import { messageOf } from '../../../lib/common/errors.js';
import { EXTRA_OPTIONS, MODULE_OPTIONS } from '../../../lib/common/options.js';
import { resolveOptions } from '../../../lib/common/options.resolver.js';
import { resolveGapHandler, resolveListener } from '../../../lib/listeners/listener.definition.js';
import { GAP_OPTIONS, LISTENER_OPTIONS } from '../../../lib/listeners/listener.options.js';
import { resolveLimits } from '../../../lib/observability/health.js';
import { Publisher } from '../../../lib/publishing/publisher.js';
import { resolveFilter } from '../../../lib/store/stored-filter.js';
import { NOTIFY_CHANGES_OPTIONS, TRIGGER_OPTIONS } from '../../../lib/triggers/notify-changes.options.js';
import { LITERAL_OPTIONS } from '../../../lib/triggers/trigger-literals.js';
import { resolveTriggers } from '../../../lib/triggers/trigger.resolver.js';
import { readText, sectionOf } from '../../support/documents.js';
import { membersOf, parseLiteral } from '../../support/interfaces.js';
import { HEALTH_OPTIONS } from '../../../lib/terminus/pubsub.health.js';
import { listOf, rowsOf, withLists, type OptionRow } from '../../support/options.js';

/** One list of the page, and its options. */
interface Subject {
  readonly heading: string;
  /** The rows that the definitions of the options make. */
  readonly rows?: readonly OptionRow[];
  /** Options that the code also accepts, and whose rows are below another heading. */
  readonly shared?: { readonly heading: string; readonly names: readonly string[] };
  /** The interface that declares options without definitions. */
  readonly declared?: string;
  /** Calls the code with an unknown option. */
  readonly misuse?: (unknown: never) => unknown;
  /** The options that apply by default. */
  readonly defaults?: () => object;
}

const source = { entityMetadatas: [], driver: { schema: 'public' } } as unknown as DataSource;
const listener = (options: object) =>
  resolveListener({ channel: 'orders', options }, 'Class.method', new ChannelRegistry());
/** A publisher without dependencies: it checks its arguments before it uses them. */
const publisher = new Publisher({ report: () => undefined } as never);
const codec = { encode: String, decode: String };

const SUBJECTS: readonly Subject[] = [
  {
    heading: '## PgPubSubModule.forRoot()',
    rows: [...rowsOf(EXTRA_OPTIONS, 'EXTRA_OPTIONS'), ...rowsOf(MODULE_OPTIONS, 'MODULE_OPTIONS')],
    misuse: (unknown) => resolveOptions(unknown, {}),
    defaults: () => ({
      ...resolveOptions({}, {}),
      isGlobal: PgPubSubModule.forRoot().global,
      globalEnhancers: false, // resolved by the explorer, which distinguishes undefined from false
    }),
  },
  {
    heading: '## defineChannel()',
    rows: rowsOf(CHANNEL_OPTIONS, 'CHANNEL_OPTIONS'),
    misuse: (unknown) => defineChannel('orders', unknown),
    defaults: () => {
      const { codec: own } = defineChannel('orders', { codec });
      const { name: _name, ...options } = defineChannel('orders');
      return { ...options, codec: { input: own?.input } };
    },
  },
  {
    heading: '## @Listener()',
    rows: rowsOf(LISTENER_OPTIONS, 'LISTENER_OPTIONS'),
    misuse: listener,
    defaults: () => ({ ...listener({}), channel: undefined }),
  },
  {
    heading: '## @OnGap()',
    rows: rowsOf(GAP_OPTIONS, 'GAP_OPTIONS'),
    misuse: (unknown) => resolveGapHandler(unknown, 'Class.method'),
    defaults: () => resolveGapHandler({}, 'Class.method'),
  },
  {
    heading: '## @NotifyChanges()',
    rows: rowsOf(NOTIFY_CHANGES_OPTIONS, 'NOTIFY_CHANGES_OPTIONS').filter(
      ({ name }) => !(name in DELIVERY_OPTIONS),
    ),
    shared: { heading: '## defineChannel()', names: Object.keys(DELIVERY_OPTIONS) },
    misuse: (unknown: object) => resolveTriggers(source, [{ table: 'author', ...unknown }], 'public'),
    defaults: () => {
      const [trigger] = resolveTriggers(source, [{ table: 'author' }], 'public');
      const { on, level, delivery, ordered, wake } = trigger ?? {};
      return { on, level, delivery, ordered, wake };
    },
  },
  {
    heading: '## withPgPubSub()',
    declared: 'WithPgPubSubOptions',
    misuse: (unknown) => withPgPubSub(new DataSource({ type: 'postgres' }), unknown),
    defaults: () => ({}),
  },
  {
    heading: '## notify() and notifyMany()',
    declared: 'NotifyOptions',
    misuse: (unknown) => publisher.publish(defineChannel('orders'), [], unknown),
    defaults: () => ({}),
  },
  {
    heading: '## Filters of pubsub.stored',
    declared: 'StoredFilter',
    misuse: (unknown) => resolveFilter(unknown, 'count', String),
    defaults: () => ({}),
  },
  {
    heading: '## status()',
    declared: 'StatusOptions',
    misuse: (unknown) => resolveLimits(unknown),
    defaults: () => resolveLimits({}),
  },
  {
    heading: '## PgPubSubHealthIndicator.check()',
    rows: rowsOf(HEALTH_OPTIONS, 'HEALTH_OPTIONS'),
  },
  {
    heading: '## createNotifyTrigger()',
    rows: rowsOf(LITERAL_OPTIONS, 'LITERAL_OPTIONS').filter(({ name }) => !(name in TRIGGER_OPTIONS)),
    shared: { heading: '## @NotifyChanges()', names: Object.keys(TRIGGER_OPTIONS) },
    misuse: (unknown: object) => createNotifyTrigger({} as QueryRunner, { table: 'author', ...unknown }),
  },
];

const page = readText('docs/options.md');

const readRows = (heading: string) => listOf(sectionOf(page, heading));

it('docs/options.md has exactly the lists of this test', () => {
  const headings = Array.from(page.matchAll(/^## .*$/gm), ([heading]) => heading);
  expect(headings).toEqual(SUBJECTS.map(({ heading }) => heading));
});

// `vitest -u` writes the lists after a change of a definition
it('docs/options.md has the rows that the definitions of the options produce', async () => {
  const lists = SUBJECTS.map(({ heading, rows = [] }) => [heading, rows] as const);
  const expected = await withLists(
    page,
    lists.filter(([, rows]) => rows.length > 0),
  );
  await expect(expected).toMatchFileSnapshot('../../../docs/options.md');
});

describe.each(SUBJECTS)(
  'the section "$heading" of docs/options.md',
  ({ heading, rows: made, shared, declared, misuse, defaults }) => {
    const elsewhere = shared ? readRows(shared.heading) : [];
    const rows = [...readRows(heading), ...elsewhere.filter(({ name }) => shared?.names.includes(name))];
    const options = rows.filter(({ name }) => !rows.some((row) => row.name.startsWith(`${name}.`)));

    it('has a value and a meaning for each option', () => {
      expect(rows.filter(({ setting, meaning }) => !setting || !meaning)).toEqual([]);
    });

    if (made)
      it('shows defaults that the comments of the definitions repeat', () => {
        const differing = made.filter((row) => row.commented !== undefined && row.commented !== row.default);
        expect(differing).toEqual([]);
        expect(made.filter((row) => row.default.startsWith('`') && row.commented === undefined)).toEqual([]);
      });

    if (shared)
      it('links to the options in another list', () => {
        const title = shared.heading.replace('## ', '');
        expect(sectionOf(page, heading)).toContain(`[\`${title}\`](#`);
        expect(elsewhere.map(({ name }) => name)).toEqual(expect.arrayContaining([...shared.names]));
      });

    if (declared) {
      const members = membersOf(declared);

      it('lists exactly the declared options', () => {
        expect(options.map(({ name }) => name).toSorted()).toEqual(
          members.map(({ name }) => name).toSorted(),
        );
      });

      it('shows the defaults in the comments of the declarations', () => {
        expect(defaultsOf(options)).toEqual(defaultsOf(members));
      });
    }

    if (misuse)
      it('lists exactly the options that the code accepts', async () => {
        const message = await Promise.resolve({ nonsense: 1 } as never)
          .then(misuse)
          .catch(messageOf);
        const known = /known options .*(?:: | \()(?<names>[\w, ]+)\)?, got "nonsense"/.exec(String(message));
        const names = new Set(options.map(({ name }) => name.replace(/\..*/, '')));
        expect(known?.groups?.['names']?.split(', ').toSorted()).toEqual([...names].toSorted());
      });

    if (defaults)
      it('shows the defaults that the code uses', () => {
        const documented = Object.entries(defaultsOf(options)).map(([name, text]) => [
          name,
          parseLiteral(text),
        ]);
        expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(flatten(defaults())));
      });
  },
);

const defaultsOf = (
  all: readonly { readonly name: string; readonly default: string | undefined }[],
): Record<string, string> =>
  Object.fromEntries(all.flatMap(({ name, default: text }) => (text === undefined ? [] : [[name, text]])));

/** `retry.maxAttempts` → 10; options that are not set are left out. */
function flatten(options: object, prefix = ''): [string, unknown][] {
  return Object.entries(options).flatMap(([key, value]: [string, unknown]): [string, unknown][] => {
    if (value === undefined) return [];
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? flatten(value, `${prefix}${key}.`)
      : [[prefix + key, value]];
  });
}
