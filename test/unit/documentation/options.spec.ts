import { PgPubSubModule, createNotifyTrigger, defineChannel, withPgPubSub } from 'nestjs-pgpubsub';
import { DataSource, type QueryRunner } from 'typeorm';
import { describe, expect, it } from 'vitest';
import { ChannelRegistry } from '../../../lib/channels/channel.registry.js';
import { messageOf } from '../../../lib/common/errors.js';
import { resolveOptions } from '../../../lib/common/options.resolver.js';
import { resolveGapHandler, resolveListener } from '../../../lib/listeners/listener.definition.js';
import { resolveLimits } from '../../../lib/observability/health.js';
import { Publisher } from '../../../lib/publishing/publisher.js';
import { resolveFilter } from '../../../lib/store/stored-filter.js';
import { resolveTriggers } from '../../../lib/triggers/trigger.resolver.js';
import { readText, sectionOf, tableOf } from '../../support/documents.js';
import { membersOf, parseLiteral, type Member } from '../../support/interfaces.js';

/** One table of the page, and what it is about. */
interface Subject {
  readonly heading: string;
  /** The interfaces that declare its options, and what of them are none here. */
  readonly declared: readonly (readonly [owner: string, omitted?: readonly string[]])[];
  /** Options that are groups of options. */
  readonly groups?: Readonly<Record<string, readonly Member[]>>;
  /** Calls it with an option it does not know. */
  readonly misuse?: (unknown: never) => unknown;
  /** What the code takes where nothing is given. */
  readonly defaults?: () => object;
}

const FILTER: readonly Member[] = [{ name: 'context', comment: '', default: undefined }]; // written in place

const source = { entityMetadatas: [], driver: { schema: 'public' } } as unknown as DataSource;
const listener = (options: object) =>
  resolveListener({ channel: 'orders', options }, 'Class.method', new ChannelRegistry());
/** What is said to it is checked before anything of this is used. */
const publisher = new Publisher({ report: () => undefined } as never);

const SUBJECTS: readonly Subject[] = [
  {
    heading: '## PgPubSubModule.forRoot()',
    declared: [['PgPubSubExtras'], ['PgPubSubOptions']],
    groups: {
      heartbeat: membersOf('HeartbeatOptions'),
      reconnect: membersOf('ReconnectOptions'),
      poll: membersOf('PollOptions'),
      batch: membersOf('BatchOptions'),
      retry: membersOf('RetryOptions'),
      buffer: membersOf('BufferOptions'),
      filter: FILTER,
    },
    misuse: (unknown) => resolveOptions(unknown, {}),
    defaults: () => ({ ...resolveOptions({}, {}), isGlobal: PgPubSubModule.forRoot().global }),
  },
  {
    heading: '## defineChannel()',
    declared: [['ChannelOptions']],
    groups: { codec: membersOf('PayloadCodec') },
    misuse: (unknown) => defineChannel('orders', unknown),
    defaults: () =>
      Object.fromEntries(Object.entries(defineChannel('orders')).filter(([key]) => key !== 'name')),
  },
  {
    heading: '## @Listener()',
    declared: [['ListenerOptions']],
    groups: { filter: FILTER },
    misuse: listener,
    defaults: () => ({ ...listener({}), channel: undefined }),
  },
  {
    heading: '## @OnGap()',
    declared: [['GapHandlerOptions']],
    misuse: (unknown) => resolveGapHandler(unknown, 'Class.method'),
    defaults: () => resolveGapHandler({}, 'Class.method'),
  },
  {
    heading: '## @NotifyChanges()',
    declared: [['NotifyChangesOptions'], ['ChannelOptions', ['schema', 'codec']]],
    misuse: (unknown: object) => resolveTriggers(source, [{ table: 'author', ...unknown }], 'public'),
    defaults: () => {
      const [trigger] = resolveTriggers(source, [{ table: 'author' }], 'public');
      const { on, level, delivery, ordered, wake } = trigger ?? {};
      return { on, level, delivery, ordered, wake };
    },
  },
  {
    heading: '## withPgPubSub()',
    declared: [['WithPgPubSubOptions']],
    misuse: (unknown) => withPgPubSub(new DataSource({ type: 'postgres' }), unknown),
    defaults: () => ({}),
  },
  {
    heading: '## notify() and notifyMany()',
    declared: [['NotifyOptions']],
    misuse: (unknown) => publisher.publish(defineChannel('orders'), [], unknown),
    defaults: () => ({}),
  },
  {
    heading: '## Filters of pubsub.stored',
    declared: [['StoredFilter']],
    misuse: (unknown) => resolveFilter(unknown, 'count', String),
    defaults: () => ({}),
  },
  {
    heading: '## status()',
    declared: [['StatusOptions']],
    misuse: (unknown) => resolveLimits(unknown),
    defaults: () => resolveLimits({}),
  },
  { heading: '## PgPubSubHealthIndicator.check()', declared: [['PgPubSubHealthOptions']] },
  {
    heading: '## createNotifyTrigger()',
    declared: [['NotifyTriggerLiterals']],
    misuse: (unknown: object) => createNotifyTrigger({} as QueryRunner, { table: 'author', ...unknown }),
  },
];

const page = readText('docs/options.md');

it('docs/options.md has these tables, and no others', () => {
  const headings = Array.from(page.matchAll(/^## .*$/gm), ([heading]) => heading);
  expect(headings).toEqual(SUBJECTS.map(({ heading }) => heading));
});

describe.each(SUBJECTS)('docs/options.md, $heading', ({ heading, declared, groups, misuse, defaults }) => {
  const rows = tableOf(sectionOf(page, heading)).map(([name = '', value, given = '', meaning]) => {
    return { name: name.replaceAll('`', ''), value, default: /^`(.+)`$/.exec(given)?.[1], meaning };
  });
  const options = rows.filter(({ name }) => !rows.some((row) => row.name.startsWith(`${name}.`)));
  const members = declared.flatMap(([owner, omitted = []]) =>
    membersOf(owner)
      .filter(({ name }) => !omitted.includes(name))
      .flatMap((member) => unfold(member, groups)),
  );

  it('has each option that is declared, and no other', () => {
    expect(options.map(({ name }) => name).toSorted()).toEqual(members.map(({ name }) => name).toSorted());
  });

  it('says of each what it may be, and what it means', () => {
    expect(rows.filter(({ value, meaning }) => !value || !meaning)).toEqual([]);
  });

  it('says the default as its comment does', () => {
    expect(defaultsOf(options)).toEqual(defaultsOf(members));
  });

  if (misuse)
    it('has each option that the code takes, and no other', async () => {
      const message = await Promise.resolve({ nonsense: 1 } as never)
        .then(misuse)
        .catch(messageOf);
      const known = /known options .*(?:: | \()(?<names>[\w, ]+)\)?, got "nonsense"/.exec(String(message));
      const names = new Set(options.map(({ name }) => name.replace(/\..*/, '')));
      expect(known?.groups?.['names']?.split(', ').toSorted()).toEqual([...names].toSorted());
    });

  if (defaults)
    it('says the default that the code takes', () => {
      const documented = Object.entries(defaultsOf(options)).map(([name, text]) => [
        name,
        parseLiteral(text),
      ]);
      expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(flatten(defaults())));
    });
});

it('the comments of the options of forRoot() say what each means', () => {
  const members = ['PgPubSubExtras', 'PgPubSubOptions'].flatMap(membersOf);
  const all = members.flatMap((member) => [member, ...unfold(member, SUBJECTS[0]?.groups)]);
  expect(all.filter(({ comment, name }) => comment === '' && name !== 'filter.context')).toEqual([]);
});

const defaultsOf = (all: readonly Pick<Member, 'name' | 'default'>[]): Record<string, string> =>
  Object.fromEntries(all.flatMap(({ name, default: text }) => (text === undefined ? [] : [[name, text]])));

/** A group stands for what is in it. */
function unfold(member: Member, groups: Subject['groups'] = {}): Member[] {
  const group = groups[member.name];
  if (group === undefined) return [member];
  return group.map((inner) => ({ ...inner, name: `${member.name}.${inner.name.replace(/\(.*/s, '')}` }));
}

/** `retry.maxAttempts` → 10; options that are not set are left out. */
function flatten(options: object, prefix = ''): [string, unknown][] {
  return Object.entries(options).flatMap(([key, value]: [string, unknown]): [string, unknown][] => {
    if (value === undefined) return [];
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? flatten(value, `${prefix}${key}.`)
      : [[prefix + key, value]];
  });
}
