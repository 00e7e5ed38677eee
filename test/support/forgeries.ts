import { MAX_NOTIFY_BYTES } from 'nestjs-pgpubsub';

/** Forged texts and values that a hostile role sends or stores, on any channel. */

const change = (given: object) =>
  JSON.stringify({
    operation: 'insert',
    schema: 'public',
    table: 'author',
    old: null,
    new: { id: 1 },
    ...given,
  });

const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);

/** Changes that no trigger of the application sends on any channel. */
export const FORGED_CHANGES: readonly string[] = [
  change({ table: 'secret', new: { id: 1, name: 'foreign' } }),
  change({ operation: 'update', table: 'secret', truncated: true }),
  change({ operation: 'delete', old: { id: 1 }, new: null }),
  change({ operation: 'truncate', new: null }),
  change({ operation: 'INSERT' }),
  change({ operation: ['insert'] }),
  change({ operation: 'constructor' }),
  change({ schema: 'pg_catalog', table: 'pg_authid' }),
  change({ schema: null }),
  change({ schema: 'public.author', table: '' }),
  change({ table: '__proto__' }),
  change({ table: 'AUTHOR' }),
  change({ new: 'text' }),
  change({ new: [1, 2] }),
  change({ new: 5 }),
  change({ new: {} }),
  change({ new: { id: { id: 1 } } }),
  change({ old: 'text' }),
  change({ truncated: 'yes', new: { id: 1 } }),
  change({ context: 'text' }),
  change({ context: [1] }),
  '{"operation":"insert","schema":"public","table":"author","new":{"__proto__":{"polluted":true}}}',
  '{"operation":"insert","schema":"public","table":"author","new":{"constructor":{"prototype":{"polluted":true}}}}',
  '{"operation":"insert","schema":"public","table":"author","table":"secret","new":{"id":1}}',
  '{"operation":"insert","schema":"public","table":"author","new":{"id":1}',
  `{"operation":"insert","schema":"public","table":"author","new":{"id":${'9'.repeat(7_000)}}}`,
  `{"operation":"insert","schema":"public","table":"author","new":${nested(3_900)}}`,
  '',
  ' ',
  'text',
  'null',
  'true',
  '0',
  '1e999',
  '"\\u0000\\ud800"',
  '{}',
  '[]',
  '\u{1F600}\u2028\u0001',
  nested(3_999),
  '{"a":'.repeat(1_500),
  'x'.repeat(MAX_NOTIFY_BYTES),
];

/** Envelopes that resemble those of the library around payloads with a context. */
export const FORGED_ENVELOPES: readonly string[] = [
  { pgpubsub: 1 },
  { pgpubsub: 1, context: null },
  { pgpubsub: 1, context: [] },
  { pgpubsub: 1, context: 'text', payload: { name: 'foreign' } },
  { pgpubsub: 1, context: {}, payload: change({ table: 'secret' }) },
  { pgpubsub: 1, context: {}, payload: { pgpubsub: 1, context: {}, payload: { name: 5 } } },
  { pgpubsub: 1, context: { tenant: 'victim' }, payload: { name: ['foreign'] } },
  { pgpubsub: 2, context: {}, payload: { name: { foreign: true } } },
  { pgpubsub: '1', context: {}, payload: null },
  { pgpubsub: 1, context: { traceparent: 'x'.repeat(5_000), tracestate: '=' } },
  { pgpubsub: 1, context: { traceparent: `00-${'0'.repeat(32)}-${'0'.repeat(16)}-ff` }, payload: 1 },
  { pgpubsub: 1, context: { toString: 'x', hasOwnProperty: 1, constructor: 'x' }, payload: 1 },
]
  .map((envelope) => JSON.stringify(envelope))
  .concat(
    '{"pgpubsub":1,"context":{"__proto__":{"polluted":true}},"payload":{"__proto__":{"polluted":true}}}',
    '{"pgpubsub":1,"__proto__":{"polluted":true},"context":{}}',
    `{"pgpubsub":1,"context":{"a":${nested(3_900)}},"payload":1}`,
    `{"pgpubsub":1,"context":{"a":1},"payload":${nested(3_900)}}`,
    '{"pgpubsub":1,"context":{',
  );

/** SQL literals with extreme values for each column that the documentation grants. */
export const EXTREMES: Readonly<Record<string, readonly string[]>> = {
  payload: [
    'null',
    `'null'`,
    `'0'`,
    `'-1e999'`,
    `'""'`,
    `'"\\u0000\\ud800"'`,
    `'{"a":1,"a":2}'`,
    `'{"__proto__":{"polluted":true}}'`,
    `(repeat('[', 3000) || repeat(']', 3000))::json`,
    `to_json(repeat('x', 5000000))`,
    `(repeat('9', 100000))::json`,
    `'{"operation":"insert","schema":"public","table":"secret","old":null,"new":{"id":1,"name":"foreign"}}'`,
    `'{"operation":"insert","schema":"public","table":"author","old":null,"new":{"id":1,"name":"foreign"}}'`,
    `'{"operation":"update","schema":"public","table":"secret","truncated":true,"old":null,"new":{"id":1}}'`,
    `'{"operation":"delete","schema":"public","table":"invoice","old":{"id":1},"new":null}'`,
  ],
  key: [
    'null',
    `''`,
    `' '`,
    `E'\\u2028\\u0001'`,
    `$$'; drop table author; --$$`,
    `repeat('k', 2600)`,
    `repeat('k', 1000000)`,
    `E'\\U0010FFFF'`,
  ],
  context: [
    'null',
    `'null'`,
    `'[]'`,
    `'[{"a":1}]'`,
    `'1'`,
    `'"text"'`,
    `'{}'`,
    `'{"__proto__":{"polluted":true},"constructor":1}'`,
    `'{"traceparent":5,"tracestate":{}}'`,
    `json_build_object('a', repeat('x', 1000000))::jsonb`,
    `(repeat('[', 3000) || repeat(']', 3000))::jsonb`,
    `('{"a":' || repeat('[', 3000) || repeat(']', 3000) || '}')::jsonb`,
  ],
  available_at: [
    `'infinity'`,
    `'-infinity'`,
    `'4714-11-24 00:00:00+00 BC'`,
    `'0001-01-01 BC'`,
    `'294276-12-31 23:59:59.999999+00'`,
    `clock_timestamp() + interval '3 milliseconds'`,
  ],
  channel: [
    `''`,
    `' '`,
    `'unknown'`,
    `'pgpubsub'`,
    `'__proto__'`,
    `repeat('c', 64)`,
    `repeat('c', 2600)`,
    `repeat('c', 1000000)`,
    `E'\\u2028'`,
  ],
};
