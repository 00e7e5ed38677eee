import { readFileSync } from 'node:fs';
import { SpanKind } from '@opentelemetry/api';
import { describe, expect, it } from 'vitest';
import type { PubSubEvent } from '../../../lib/common/events.js';
import { METRICS } from '../../../lib/observability/metrics.definitions.js';
import { PubSubLogger } from '../../../lib/observability/pubsub.logger.js';
import { sectionOf } from '../../support/documents.js';
import { SAMPLES, error } from '../support/sample-events.js';
import { broadcast } from '../support/recording.js';
import { measured, storedBatch, storedNotification, traced } from '../support/telemetry.js';

const at = (path: string): URL => new URL(`../../../${path}`, import.meta.url);
const document = readFileSync(at('docs/events.md'), 'utf8');

const codesIn = (text = ''): string[] => Array.from(text.matchAll(/`([^`]+)`/g), ([, code = '']) => code);

interface Entry {
  /** The text in parentheses. */
  readonly about: string;
  readonly text: string;
  /** The attributes, including the one that all metrics and spans have. */
  readonly attributes: readonly string[];
}

/** The entries of a section, "- `name` (about): text Attributes: …", by their names. */
function entriesOf(heading: string): ReadonlyMap<string, Entry> {
  const found = sectionOf(document, heading).matchAll(/^- `([^`]+)`(?: \(([^)]*)\))?: (.*)$/gm);
  const entries = Array.from(found, ([, name = '', about = '', line = '']): [string, Entry] => {
    const [text = '', attributes] = line.split(' Attributes: ');
    return [name, { about, text, attributes: ['messaging.system', ...codesIn(attributes)].toSorted() }];
  });
  return new Map(entries);
}

const metrics = new Map([...entriesOf('## Metrics')].filter(([, { about }]) => about !== ''));

/** Whether the text of a metric names the event, under a condition that the event meets. */
function isRecordedFor(text: string, event: PubSubEvent): boolean {
  if (!codesIn(text).includes(event.type)) return false;
  if (event.type !== 'stored-failed' || !text.includes('`delayMs`')) return true;
  return text.includes('without `delayMs`') === (event.delayMs === undefined);
}

/** The events that an application may receive, with and without a retry. */
const events: PubSubEvent[] = [
  ...Object.values(SAMPLES).map(([event]) => event),
  { ...SAMPLES['stored-failed'][0], delayMs: undefined },
];

describe('the list of events in docs/events.md', () => {
  const documented = entriesOf('## Events');

  it('lists exactly the events of the library', () => {
    expect([...documented.keys()].toSorted()).toEqual(Object.keys(SAMPLES).toSorted());
  });

  it.each(events)('lists the fields of "$type"', ({ type, ...fields }) => {
    expect(documented.has(type)).toBe(true);
    expect(codesIn(documented.get(type)?.about)).toEqual(Object.keys(fields));
  });

  it.each(events)('lists the log line of "$type"', (event) => {
    const lines: string[] = [];
    const at = (level: string) => (line: string) => lines.push(`${level}: ${line}`);
    const logger = new PubSubLogger({ log: at('log'), warn: at('warn'), error: at('error') });
    logger.write(event);
    logger.close();
    const codes = codesIn(documented.get(event.type)?.text);
    const patterns = codes.filter((code) => /^(?:log|warn|error): /.test(code)).map(patternOf);

    expect(lines).toHaveLength(patterns.length === 0 ? 0 : 1);
    for (const line of lines) expect(patterns.filter((pattern) => pattern.test(line))).toHaveLength(1);
  });

  it.each(events)('lists the metrics of "$type"', async (event) => {
    const recorded = await measured((metrics) => metrics.record(event));
    const names = recorded.map(({ name }) => name).toSorted();

    const named = [...metrics].filter(([, { text }]) => isRecordedFor(text, event));
    expect(named.map(([name]) => name).toSorted()).toEqual(names);
  });
});

/** `{placeholder}` stands for any text. */
const patternOf = (wording: string): RegExp => {
  const literal = wording.split(/\{\w+\}/).map((text) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${literal.join('.+')}$`);
};

describe('the list of metrics in docs/events.md', () => {
  it('lists exactly the metrics of the library, with kind and unit', () => {
    const found = [...metrics].map(([name, { about }]) => {
      const [kind] = about.split(',');
      return [name, { kind, unit: codesIn(about)[0] }];
    });
    const defined = Object.entries(METRICS).map(([name, { kind, unit }]) => [name, { kind, unit }]);
    expect(Object.fromEntries(found)).toEqual(Object.fromEntries(defined));
  });

  it('lists the attributes of each metric', async () => {
    const by = { channel: 'orders', listener: 'shipping' };
    const recorded = await measured(async (metrics) => {
      for (const event of events) metrics.record(event);
      await metrics.timed(by, () => Promise.resolve())(storedNotification());
      await metrics
        .timed(by, () => Promise.reject(error))(storedNotification())
        .catch(() => undefined);
    });
    const attributes = new Map<string, Set<string>>(Object.keys(METRICS).map((name) => [name, new Set()]));
    for (const one of recorded)
      for (const name of Object.keys(one.attributes)) attributes.get(one.name)?.add(name);

    for (const [name, found] of attributes)
      expect([name, metrics.get(name)?.attributes]).toEqual([name, [...found].toSorted()]);
  });

  it('has an explanation of each attribute', async () => {
    const [named] = await measured((metrics) => metrics.record(SAMPLES.reconnected[0]), {
      instance: 'reporting',
    });
    const used = [...metrics.values()].flatMap(({ attributes }) => attributes);
    const explained = [...document.matchAll(/^- (`[^(:]*`): /gm)].flatMap(([, names]) => codesIn(names));

    for (const attribute of [...used, ...Object.keys(named?.attributes ?? {})])
      expect(explained).toContain(attribute);
  });
});

describe('the list of spans in docs/events.md', () => {
  const documented = entriesOf('## Traces');
  const by = { channel: 'orders', listener: 'shipping' };
  const fail = () => Promise.reject(error);

  it.each([
    ['send {channel}', SpanKind.PRODUCER],
    ['process {channel}', SpanKind.CONSUMER],
  ])('lists the attributes of "%s"', async (name, kind) => {
    const spans = await traced(async (tracing) => {
      await tracing.sending('orders', 2, fail).catch(() => undefined);
      for (const handled of [broadcast(1), storedNotification(), storedBatch({}, {})])
        await tracing
          .handling(
            by,
            fail,
          )(handled)
          .catch(() => undefined);
    });
    const found = spans.filter((span) => span.kind === kind);
    const attributes = new Set(found.flatMap((span) => Object.keys(span.attributes)));

    expect(new Set(found.map((span) => span.name))).toEqual(new Set([name.replace('{channel}', 'orders')]));
    expect(documented.get(name)?.attributes).toEqual([...attributes].toSorted());
  });

  it('lists exactly the spans of the library', () => {
    expect([...documented.keys()]).toEqual(['send {channel}', 'process {channel}']);
  });
});

it('docs/events.md shows code that tests run', () => {
  const [, file = '', code = ''] = /<!-- (\S+) -->\n+```ts\n([\s\S]*?)```/.exec(document) ?? [];
  expect(code).toContain('events$');
  expect(readFileSync(at(file), 'utf8')).toContain(code);
});
