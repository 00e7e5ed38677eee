// @ts-check
import assert from 'node:assert/strict';
import { minorOf } from './pg-client.js';
import { recordParsed } from './prepared-statement-cache.js';

const CONTEXT = [{ text: "select set_config('contracts.context', 'set', true)" }];
const READ = "select current_setting('contracts.context', true) as context";

/** The same statements for both protocols: without and with values. */
const PROTOCOLS = {
  simple: {
    statement: { text: 'select 5::int as n, 7::int as m' },
    read: { text: READ },
    write: { text: 'insert into written values (1), (2)' },
    failing: { text: 'select 1 / 0' },
    unknown: { text: "select '🎉', nowhere" },
  },
  extended: {
    statement: { text: 'select $1::int as n, 7::int as m', values: [5] },
    read: { text: `${READ} where $1`, values: [true] },
    write: { text: 'insert into written select generate_series(1, $1)', values: [2] },
    failing: { text: 'select 1 / $1::int', values: [0] },
    unknown: { text: 'select $1::int, nowhere', values: [1] },
  },
};

/** Checks commands before a statement, in one round trip. @param {import('./subject.js').Subject} subject */
export async function checkPrefixedQueries(subject) {
  const { sendWithPrefix } = await subject.cell.load('postgres/prefixed-query.js');

  /** Runs a check, after which the connection must be usable. @type {Check} */
  const check = (name, act) =>
    subject.check(name, async () => {
      const client = await subject.connect();
      await act(client);
      const { rows, command, rowCount } = await client.query('select $1::int as n', [3]);
      assert.deepEqual([rows, command, rowCount], [[{ n: 3 }], 'SELECT', 1]);
    });

  for (const protocol of /** @type {const} */ (['simple', 'extended'])) {
    await checkResults(check, sendWithPrefix, protocol);
    await checkErrors(check, sendWithPrefix, protocol);
    await checkSessions(subject, sendWithPrefix, protocol);
  }
  await checkStatements(check, sendWithPrefix);
  await checkNames(check, sendWithPrefix);
  await checkRejected(check, sendWithPrefix, minorOf(subject));
}

/** @typedef {(name: string, act: (client: any) => Promise<unknown>) => Promise<void>} Check */
/** @typedef {(...args: any[]) => Promise<any>} Send */

/** @param {Check} check @param {Send} sendWithPrefix @param {'simple' | 'extended'} protocol */
async function checkResults(check, sendWithPrefix, protocol) {
  const { statement, read, write } = PROTOCOLS[protocol];

  await check(`query.submit (${protocol}): commands and a statement are one round trip`, async (client) => {
    let ready = 0;
    client.connection.on('readyForQuery', () => ready++);
    const { rows } = await sendWithPrefix(client, [...CONTEXT, ...CONTEXT], statement);
    assert.deepEqual(rows, [{ n: 5, m: 7 }]);
    assert.equal(ready, 1);
  });

  await check(`query.submit (${protocol}): commands and a statement are one transaction`, async (client) => {
    assert.equal((await sendWithPrefix(client, CONTEXT, read)).rows[0].context, 'set');
    assert.equal((await client.query(READ)).rows[0].context, '');
  });

  await check(
    `handleRowDescription (${protocol}): columns and rows of commands are not in the result`,
    async (client) => {
      const commands = [
        { text: 'select 1 as other from generate_series(1, 3)' },
        { text: 'create temp table t ()' },
      ];
      const { rows, fields } = await sendWithPrefix(client, commands, statement);
      assert.deepEqual(rows, [{ n: 5, m: 7 }]);
      assert.deepEqual([fields[0].name, fields[1].name, fields.length], ['n', 'm', 2]);
    },
  );

  await check(
    `handleDataRow (${protocol}): each row of a command calls onRow with its texts`,
    async (client) => {
      /** @type {string[]} */
      const values = [];
      const onRow = (/** @type {unknown[]} */ row) => values.push(row.join());
      const commands = [
        { text: 'select 1' },
        { text: 'select n, n + 1 from generate_series(1, 3) n', onRow },
        { text: 'select where false', onRow: () => values.push('expected no row') },
      ];
      await sendWithPrefix(client, commands, statement);
      assert.deepEqual(values, ['1,2', '2,3', '3,4']);
    },
  );

  await check(
    `handleCommandComplete (${protocol}): the command and the count are those of the statement`,
    async (client) => {
      await client.query('create temp table written (n int)');
      const { command, rowCount } = await sendWithPrefix(client, CONTEXT, write);
      assert.deepEqual([command, rowCount], ['INSERT', 2]);
    },
  );

  await check(`query.rowMode, query.types (${protocol}): both apply to the statement`, async (client) => {
    const types = { getTypeParser: () => (/** @type {string} */ text) => `<${text}>` };
    const config = { rowMode: 'array', types };
    const { rows } = await sendWithPrefix(client, CONTEXT, { ...statement, config });
    assert.deepEqual(rows, [['<5>', '<7>']]);
  });
}

/** @param {Check} check @param {Send} sendWithPrefix @param {'simple' | 'extended'} protocol */
async function checkErrors(check, sendWithPrefix, protocol) {
  const { statement, failing, unknown } = PROTOCOLS[protocol];

  await check(
    `query.handleError (${protocol}): the error of a command calls onPrefixError and rejects`,
    async (client) => {
      /** @type {any[]} */
      const errors = [];
      const onPrefixError = (/** @type {unknown} */ error) => errors.push(error);
      const sent = sendWithPrefix(client, [...CONTEXT, { text: 'select 1 / 0' }], statement, onPrefixError);
      await assert.rejects(sent, { code: '22012' });
      assert.equal(errors.length, 1);
      assert.equal(errors[0].code, '22012');
    },
  );

  await check(
    `query.handleError (${protocol}): the error of a statement does not call onPrefixError`,
    (client) => rejectsAlone(sendWithPrefix, client, failing, { code: '22012' }),
  );

  await check(
    `query.handleError (${protocol}): positions count in the text of the caller`,
    async (client) => {
      const sent = sendWithPrefix(client, [{ text: "select '🎉🎉'" }], unknown);
      const before = unknown.text.slice(0, unknown.text.indexOf('nowhere'));
      await assert.rejects(sent, { code: '42703', position: String(Array.from(before).length + 1) });
    },
  );
}

/** @param {import('./subject.js').Subject} subject @param {Send} sendWithPrefix @param {'simple' | 'extended'} protocol */
async function checkSessions(subject, sendWithPrefix, protocol) {
  const { statement } = PROTOCOLS[protocol];

  await subject.check(
    `client._errorAllQueries (${protocol}): the statement rejects when its session ends`,
    async () => {
      const client = await subject.connect();
      const { processID } = client;
      const sleeping = assert.rejects(sendWithPrefix(client, [{ text: 'select pg_sleep(60)' }], statement));
      await subject.sessionSleeps(processID);
      await subject.query('select pg_terminate_backend($1)', [processID]);
      await sleeping;
      await assert.rejects(sendWithPrefix(client, CONTEXT, statement));
    },
  );

  await subject.check(
    `client._ending (${protocol}): the statement rejects on an ended connection`,
    async () => {
      const client = await subject.connect();
      await client.end();
      await assert.rejects(sendWithPrefix(client, CONTEXT, statement), /not queryable/);
    },
  );
}

/** @param {Check} check @param {Send} sendWithPrefix */
async function checkStatements(check, sendWithPrefix) {
  await check('query.submit (simple): each of several statements has a result', async (client) => {
    const [first, second] = await sendWithPrefix(client, CONTEXT, { text: 'select 1 as a; select 2 as b' });
    assert.deepEqual([first.rows, second.rows], [[{ a: 1 }], [{ b: 2 }]]);
  });

  await check('handleCopyInResponse: a COPY without a stream rejects', async (client) => {
    await client.query('create temp table copied (n int)');
    await rejectsAlone(sendWithPrefix, client, { text: 'copy copied from stdin' }, /No source stream/);
  });

  await check('handlePortalSuspended: a statement can read its rows in portions', async (client) => {
    const statement = { text: 'select generate_series(1, $1::int)', values: [5] };
    const config = { rows: 2, rowMode: 'array' };
    const { rows } = await sendWithPrefix(client, CONTEXT, { ...statement, config });
    assert.deepEqual(rows.flat(), [1, 2, 3, 4, 5]);
  });

  await check('client.query: a client of another library receives two texts', async () => {
    /** @type {unknown[]} */
    const sent = [];
    const client = { query: async (/** @type {any} */ query) => void sent.push(query.text ?? query) };
    await sendWithPrefix(client, [...CONTEXT, ...CONTEXT], { text: READ });
    assert.deepEqual(sent, [`${CONTEXT[0]?.text}; ${CONTEXT[0]?.text}`, READ]);
  });
}

/** @param {Check} check @param {Send} sendWithPrefix */
async function checkNames(check, sendWithPrefix) {
  await check('connection.parse, connection.bind: a command can have a name', async (client) => {
    const { statement } = PROTOCOLS.extended;
    const command = { text: "select 'named'", name: 'contracts_command' };
    for (const isParsed of [false, true]) await sendWithPrefix(client, [{ ...command, isParsed }], statement);
    const { rows } = await client.query('select name from pg_prepared_statements');
    assert.deepEqual(rows, [{ name: command.name }]);
  });

  await check('query.name: a named statement is parsed once', async (client) => {
    const [name, text] = ['contracts_statement', 'select $1::int as n'];
    const parsed = recordParsed(client);
    for (const n of [1, 2])
      assert.deepEqual(
        (await sendWithPrefix(client, CONTEXT, { text, values: [n], config: { name } })).rows,
        [{ n }],
      );
    assert.deepEqual((await client.query({ name, text, values: [3] })).rows, [{ n: 3 }]);
    assert.equal(parsed.stop().filter((message) => message.name === name).length, 1);
  });

  await check(
    'query.name: a statement that could not be parsed after commands can be repeated',
    async (client) => {
      const [name, text, values] = ['contracts_late', 'select n from contracts_late where n = $1', [1]];
      await assert.rejects(sendWithPrefix(client, CONTEXT, { text, values, config: { name } }), {
        code: '42P01',
      });
      await client.query('create temp table contracts_late (n int)');
      assert.deepEqual((await client.query({ name, text, values })).rows, []);
    },
  );
}

/** Checks statements that are rejected before the server runs them. @param {Check} check @param {Send} sendWithPrefix @param {number} minor the minor version of pg */
async function checkRejected(check, sendWithPrefix, minor) {
  await check('query.handleError (simple): a syntax error is not an error of the commands', (client) =>
    rejectsAlone(sendWithPrefix, client, { text: 'selec 1' }, { code: '42601', position: '1' }),
  );

  await check(
    'query.submit: values that are not an array reject, and do not affect the next query',
    (client) =>
      rejectsAlone(sendWithPrefix, client, { text: 'select $1::int', values: 'none' }, /must be an array/),
  );

  await check(
    'query.submit: another text with a known name rejects, and does not affect the next query',
    async (client) => {
      const config = { name: 'contracts_unique' };
      await client.query({ ...config, text: 'select $1::int as n', values: [1] });
      const statement = { text: 'select $1::int as m', values: [1], config };
      await rejectsAlone(sendWithPrefix, client, statement, /must be unique/);
    },
  );

  // Before 8.22, pg sends no Sync in this case, and the connection waits indefinitely, with and
  // without commands. Before 1.15, pg-protocol sends the rest of the message before the next
  // message of any connection.
  if (minor < 22) return;
  await check(
    'query.prepare: a value that cannot be serialized is not an error of the commands',
    async (client) => {
      const statement = { text: 'select $1::json', values: [{ id: 1n }] };
      await rejectsAlone(sendWithPrefix, client, statement, /BigInt/);
    },
  );
}

/** Checks that the statement rejects and its commands succeed. @param {Send} sendWithPrefix @param {any} client @param {object} statement @param {any} expected */
async function rejectsAlone(sendWithPrefix, client, statement, expected) {
  /** @type {unknown[]} */
  const errors = [];
  const onPrefixError = (/** @type {unknown} */ error) => errors.push(error);
  await assert.rejects(sendWithPrefix(client, CONTEXT, statement, onPrefixError), expected);
  assert.equal(errors.length, 0, 'expected the commands to succeed');
}
