import { describe, expect, it } from 'vitest';
import { checkSource } from '../../../tools/check-rules.js';

const INTERNALS = {
  processID: 'pg Client: the id of the server process',
  'client.connection': 'pg Client: its connection',
  'connection.stream': 'pg Connection: its socket',
  'driver.master': 'TypeORM: its pool',
  'isTransactionActive =': 'TypeORM: written',
  'runner.release =': 'TypeORM: replaced',
};

const check = (text: string, file = 'lib/room/file.ts') => checkSource(file, text, INTERNALS);
/** Line, column and the words up to the remedy. */
const findings = (text: string, file?: string) =>
  check(text, file).map((finding) => finding.replace(/^[^:]*:/, '').replace(/\. .*$/s, ''));

const internal = (place: string, member: keyof typeof INTERNALS) => [
  `${place}  "${member.replace(/^.*\.| =$/g, '')}" is internal to ${INTERNALS[member]}`,
];
const unlimited = (place: string, call: string) => [`${place}  ${call}() waits without a limit`];

describe('the rule of one door to internals', () => {
  it('states the place, the finding and the remedy in one line', () => {
    expect(check('client.processID;')).toEqual([
      'lib/room/file.ts:1:8  "processID" is internal to pg Client: the id of the server process. ' +
        'Move this code into lib/postgres/, or call a function from there.',
    ]);
  });

  it.each([
    ['a property access', 'x.processID;', '1:3'],
    ['an optional property access', 'x?.processID;', '1:4'],
    ['an element access', "x['processID'];", '1:3'],
    ['a destructured variable', 'const { processID } = x;', '1:9'],
    ['a destructured variable with an alias', 'const { processID: id } = x;', '1:9'],
    ['a destructured variable in a pattern', 'const { a: { processID } } = x;', '1:14'],
    ['a destructured parameter', 'const f = ({ processID }) => processID;', '1:14'],
    ['a destructuring assignment', '({ processID: id } = x);', '1:4'],
    ['a test with "in"', "'processID' in x;", '1:1'],
    ['a property of an interface', 'interface Pid { readonly processID: number }', '1:26'],
    ['a method of an interface', 'interface Pid { processID(): number }', '1:17'],
    ['a property of a type literal', 'type Pid = Base & { processID?: number };', '1:21'],
    ['a cast to a type literal', 'f(x as unknown as { processID: number });', '1:21'],
    ['an indexed access type', "type Pid = Client['processID'];", '1:12'],
    ['a member read by Reflect', "Reflect.get(x, 'processID');", '1:16'],
    ['a member that Object.assign() writes', 'Object.assign(x, { processID: 1 });', '1:20'],
  ])('finds %s', (_what, text, place) => {
    expect(findings(text)).toEqual(internal(place, 'processID'));
  });

  it.each([
    ['an identifier of the same name', 'const processID = f(processID);'],
    ['a property of an object literal', 'f({ processID: 1 });'],
    ['a string', "f('processID');"],
    ['a computed name', 'x[processID];'],
  ])('ignores %s', (_what, text) => {
    expect(check(text)).toEqual([]);
  });

  it.each([
    ['a variable', 'client.connection;', '1:8'],
    ['the last member of an expression', 'this.claim.pgClient.connection;', '1:21'],
    ['a cast', '(this.client as Wired).connection;', '1:24'],
    ['a call', 'getClient().connection;', '1:13'],
    ['a destructured object', 'const { connection } = this.client as unknown as Wired;', '1:9'],
    ['a destructured parameter', 'const f = ({ connection }: PgClient) => connection;', '1:14'],
    ['a test with "in"', "'connection' in client;", '1:1'],
    ['the name of an interface', 'interface PipeliningClientParts { connection: Wire }', '1:35'],
    ['the name of a type', 'type PipeliningClient = Base & { connection: Wire };', '1:34'],
    ['a cast to a type literal', 'f(client as { connection: Wire });', '1:15'],
  ])('finds a qualified member by the name of its object: %s', (_what, text, place) => {
    expect(findings(text)).toEqual(internal(place, 'client.connection'));
  });

  it('finds a qualified member by the name of a property that holds the object', () => {
    expect(findings('interface Parts { connection: { stream: Socket } }')).toEqual(
      internal('1:33', 'connection.stream'),
    );
    expect(findings('const { connection: { stream } } = parts;')).toEqual(
      internal('1:23', 'connection.stream'),
    );
  });

  it.each([
    'runner.connection;',
    'options.replication.master;',
    'const { connection } = options;',
    'interface Options { connection: string }',
    'const f = ({ connection }: Options) => connection;',
  ])('ignores a qualified member of another object: %s', (text) => {
    expect(check(text)).toEqual([]);
  });

  it.each([
    ['an assignment', 'runner.isTransactionActive = true;', '1:8'],
    ['Object.assign()', 'Object.assign(runner, { isTransactionActive: true });', '1:25'],
    ['Reflect.set()', "Reflect.set(runner, 'isTransactionActive', true);", '1:21'],
  ])('finds %s that writes a read-only member', (_what, text, place) => {
    expect(findings(text)).toEqual(internal(place, 'isTransactionActive ='));
  });

  it('ignores reads of a read-only member', () => {
    expect(check('const a = runner.isTransactionActive; f(runner.isTransactionActive === a);')).toEqual([]);
    expect(check('runner.release(); other.release = f;')).toEqual([]);
    expect(findings('runner.release = f;')).toEqual(internal('1:8', 'runner.release ='));
  });

  it('allows everything in lib/postgres', () => {
    expect(check('client.processID;', 'lib/postgres/file.ts')).toEqual([]);
  });
});

describe('the rule that every wait has a limit', () => {
  it('states the place, the finding and the remedy in one line', () => {
    expect(check('await this.client.query(sql);')).toEqual([
      'lib/room/file.ts:1:19  client.query() waits without a limit. ' +
        'Pass it to withDeadline() or settlesWithin(), or add "// no deadline: <reason>" above it.',
    ]);
  });

  it.each(['query', 'connect', 'transaction', 'execute', 'stream'])('finds a call of %s()', (name) => {
    expect(findings(`x.${name}();`)).toEqual(unlimited('1:3', `x.${name}`));
    expect(findings(`x?.y['${name}']();`)).toEqual(unlimited('1:1', `y.${name}`));
    expect(findings(`this.${name}();`, 'lib/postgres/file.ts')).toEqual(unlimited('1:6', `this.${name}`));
  });

  it.each([
    ["import { once } from 'node:events';\nonce(x, 'end');", '2:1', 'once'],
    ["import { once as next } from 'events';\nnext(x, 'end');", '2:1', 'next'],
    ["import events from 'node:events';\nevents.once(x, 'end');", '2:8', 'events.once'],
    ["import * as events from 'node:events';\nevents.once(x, 'end');", '2:8', 'events.once'],
  ])('finds a wait for an event: %j', (text, place, call) => {
    expect(findings(text)).toEqual(unlimited(place, call));
  });

  it.each([
    ['the definition of a method', 'class A { query(sql) { return sql; } }'],
    ['a function of the same name', 'query(sql); execute(steps);'],
    ['a bound method', 'client.query.bind(client);'],
    ['once() of an emitter', "client.once('end', f);"],
    ['once() of another module', "import { once } from './once.js';\nonce(f);"],
  ])('ignores %s', (_what, text) => {
    expect(check(text)).toEqual([]);
  });

  it.each([
    'withDeadline(client.query(sql), options);',
    'settlesWithin(client.query(sql).catch(f), 100);',
    'withDeadline(Promise.all([a, client.query(sql)]), options);',
    'withDeadline(load(async () => { await client.query(sql); }), options);',
    'this.deadline.run(() => client.query(sql));',
  ])('accepts a call in an argument of a call that limits it: %s', (text) => {
    expect(check(text)).toEqual([]);
  });

  it('rejects a call outside the argument of the limiting call, and run() of another object', () => {
    expect(findings('const work = client.query(sql); withDeadline(work, options);')).toHaveLength(1);
    expect(findings('storage.run(context, () => client.query(sql));')).toHaveLength(1);
  });
});

describe('the reason for having no deadline', () => {
  it.each([
    ['on the same line', 'await client.query(sql); // no deadline: the handler decides'],
    ['on the line above', '// no deadline: the handler decides\nawait client.query(sql);'],
    ['on two lines above', '// no deadline: the\n// handler decides\nawait client.query(sql);'],
    ['above an if without braces', '// no deadline: the handler decides\nif (a) x.query(sql);'],
    [
      'above a property',
      'f({\n  // no deadline: the handler decides\n  query: () => client.query(sql),\n});',
    ],
    [
      'above a function',
      '/** Runs it. No deadline: the handler decides. */\nfunction f() {\n  client.query(sql);\n}',
    ],
    [
      'above a constant function',
      '// no deadline: the handler decides\nconst f = () => {\n  client.query(a);\n};',
    ],
    [
      'above a method',
      'class A {\n  /** no deadline: the handler decides */\n  b() {\n    x.query(sql);\n  }\n}',
    ],
    [
      'above a class',
      '/**\n * One.\n * no deadline: the\n * handler decides\n */\nclass A {\n  b() { x.query(); }\n}',
    ],
    ['at the top of the file', "// no deadline: the handler decides\nimport x from 'x';\n\nx.query(sql);"],
    ['at the top without imports', '// no deadline: the handler decides\n\nf();\nx.query(sql);'],
  ])('exempts a call when it is %s', (_where, text) => {
    expect(check(text)).toEqual([]);
  });

  it.each([
    ['above the statement before', '// no deadline: the handler decides\nf();\nx.query(sql);'],
    ['above another function', '/** no deadline: the handler decides */\nfunction f() {}\nx.query(sql);'],
    ['above a block', '// no deadline: the handler decides\nif (a) {\n  x.query(sql);\n}'],
    ['away from the statement', 'f();\n// no deadline: the handler decides\n\nx.query(sql);'],
    ['in a string', "f('no deadline: the handler decides', x.query(sql));"],
  ])('exempts nothing when it is %s', (_where, text) => {
    expect(check(text)).toHaveLength(1);
  });

  it('has at least 15 characters', () => {
    expect(check('x.query(sql); // no deadline: fast')).toEqual([
      'lib/room/file.ts:1:3  The reason "fast" has less than 15 characters. State what ends the wait.',
    ]);
    expect(check('x.query(sql); // no deadline: 15 characters!!')).toEqual([]);
  });
});

describe('the rule that there is one way to limit a wait', () => {
  const race = (place: string) => [`${place}  Promise.race() with a timer is a second way to limit a wait`];

  it('finds a race with a timer in the same function', () => {
    expect(findings('async function f() { await Promise.race([work, delay(10)]); }')).toEqual(race('1:36'));
    expect(
      findings('const f = () => Promise.race([a, new Promise((done) => setTimeout(done, 1))]);'),
    ).toEqual(race('1:25'));
    expect(
      findings("import { setTimeout as wait } from 'node:timers/promises';\nPromise.race([a, wait(1)]);"),
    ).toEqual(race('2:9'));
  });

  it('ignores a race without a timer and a timer in another function', () => {
    expect(check('const f = () => Promise.race([a, b]);')).toEqual([]);
    expect(check('const f = () => Promise.race([a, b]);\nconst g = () => delay(1);')).toEqual([]);
  });

  it('accepts a race in lib/common/deadline.ts, and one with a reason', () => {
    expect(check('Promise.race([work, delay(1)]);', 'lib/common/deadline.ts')).toEqual([]);
    expect(check('// no deadline: waits for the next poll\nPromise.race([work, delay(1)]);')).toEqual([]);
  });
});

describe('the rule of no instanceof across copies of packages', () => {
  const finding = (place: string, name: string) => [
    `${place}  "${name}" may be of another copy of its package`,
  ];

  it.each([
    ['a class of this package', 'x instanceof PgPubSubError;', '1:14', 'PgPubSubError'],
    ['a class of another package', 'x instanceof typeorm.EntityManager;', '1:22', 'EntityManager'],
    ['a shape that valibot checks', 'v.instance(ChannelDefinition);', '1:12', 'ChannelDefinition'],
  ])('finds %s', (_what, text, place, name) => {
    expect(findings(text)).toEqual(finding(place, name));
  });

  it.each([
    ['a built-in class', 'x instanceof Error;'],
    ['an internal class', 'x instanceof LateError;'],
    ['a class in a variable', 'x instanceof type;'],
  ])('ignores %s', (_what, text) => {
    expect(check(text)).toEqual([]);
  });
});
