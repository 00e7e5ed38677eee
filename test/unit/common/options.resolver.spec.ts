import * as v from 'valibot';
import { afterEach, describe, expect, it } from 'vitest';
import type { PgPubSubExtras, PgPubSubOptions } from '../../../lib/common/options.js';
import { resolveOptions } from '../../../lib/common/options.resolver.js';
import { thrownBy } from '../support/recording.js';

/** Accepts options of any type, as code without TypeScript may give them. */
const resolve = (options: unknown, extras: unknown = {}) =>
  resolveOptions(options as PgPubSubOptions, extras as PgPubSubExtras);

describe('resolveOptions()', () => {
  it('fills in all defaults', () => {
    expect(resolveOptions({}, {})).toEqual({
      name: 'default',
      connection: undefined,
      listen: true,
      schema: undefined,
      synchronize: false,
      verifySchema: 'error',
      reconnect: { minDelayMs: 100, maxDelayMs: 30_000 },
      heartbeat: { intervalMs: 10_000, timeoutMs: 5_000 },
      poll: { intervalMs: 30_000, deafIntervalMs: 1_000 },
      concurrency: undefined,
      batch: { maxSize: 100, maxTimeMs: 250 },
      retry: { maxAttempts: 10, minDelayMs: 1_000, maxDelayMs: 3_600_000 },
      buffer: { maxSize: 10_000, overflow: 'drop-oldest' },
      timeoutMs: 60_000,
      deadLetters: { keepMs: false },
      deadPeerTimeoutMs: 30_000,
      shutdownTimeoutMs: 10_000,
      globalEnhancers: undefined, // undefined, so that the log names enhancers that do not run
      context: undefined,
      traceContext: true,
      executor: undefined,
      filter: undefined,
    });
  });

  it('keeps the given options', () => {
    const given = {
      connection: { host: 'db' },
      listen: ['orders'],
      schema: 'app',
      synchronize: true,
      verifySchema: false,
      reconnect: { minDelayMs: 1, maxDelayMs: 2 },
      heartbeat: { intervalMs: 3, timeoutMs: 4 },
      poll: { intervalMs: 5, deafIntervalMs: 6 },
      concurrency: 7,
      batch: { maxSize: 8, maxTimeMs: 9 },
      retry: { maxAttempts: 10, minDelayMs: 11, maxDelayMs: 12 },
      buffer: { maxSize: 13, overflow: 'error' },
      timeoutMs: false,
      deadLetters: { keepMs: 31_536_000_000 },
      deadPeerTimeoutMs: 1_000,
      shutdownTimeoutMs: 0,
      globalEnhancers: true,
      context: () => ({ tenant: 'a' }),
      traceContext: false,
      executor: () => undefined,
      filter: { context: { tenant: 'a' } },
    } as const satisfies PgPubSubOptions;

    expect(resolveOptions(given, { name: 'reporting' })).toEqual({ ...given, name: 'reporting' });
  });

  it.each([
    ['reconnect', { maxDelayMs: 500 }, { minDelayMs: 100, maxDelayMs: 500 }],
    ['heartbeat', { timeoutMs: 1 }, { intervalMs: 10_000, timeoutMs: 1 }],
    ['poll', { intervalMs: 1 }, { intervalMs: 1, deafIntervalMs: 1_000 }],
    ['batch', { maxSize: 1 }, { maxSize: 1, maxTimeMs: 250 }],
    ['retry', { maxAttempts: 1 }, { maxAttempts: 1, minDelayMs: 1_000, maxDelayMs: 3_600_000 }],
    ['deadLetters', {}, { keepMs: false }],
    ['buffer', { overflow: 'error' }, { maxSize: 10_000, overflow: 'error' }],
  ])('keeps the other defaults of a partial "%s"', (option, partial, expected) => {
    expect(resolve({ [option]: partial })).toMatchObject({ [option]: expected });
  });

  it('treats an option that is undefined like an omitted one', () => {
    const names = Object.keys(resolveOptions({}, {})).filter((option) => option !== 'name');
    const nothing = Object.fromEntries(names.map((option) => [option, undefined]));
    const extras = { name: undefined, dataSource: undefined, isGlobal: undefined };

    expect(resolve(nothing, extras)).toEqual(resolveOptions({}, {}));
    expect(resolve({ reconnect: { minDelayMs: undefined } })).toEqual(resolveOptions({}, {}));
  });

  it('turns the heartbeat off with false', () => {
    expect(resolveOptions({ heartbeat: false }, {}).heartbeat).toBe(false);
  });

  it.each([
    'postgres://user:secret@db:5432/news?sslmode=require',
    'postgresql:///news?host=/var/run/postgresql',
    'POSTGRES://db',
    'pg://db/news',
    'socket:/var/run/postgresql?db=news',
    '/var/run/postgresql news',
  ])('accepts "%s" as a connection, as pg does', (connection) => {
    expect(resolve({ connection }).connection).toBe(connection);
  });

  it('returns a frozen object with frozen groups', () => {
    const resolved = resolveOptions({}, {});
    const groups = Object.values(resolved).filter((value) => typeof value === 'object');

    expect(groups).toHaveLength(7);
    expect([resolved, ...groups].filter((object) => !Object.isFrozen(object))).toEqual([]);
  });
});

describe('resolveOptions() on invalid options', () => {
  const object = 'an object';
  const string = 'a string that is not empty';
  const boolean = 'boolean';
  const wholeNumber = 'a whole number of at least 1';
  const delay = 'a whole number of milliseconds from 1 to 2147483647';
  const duration = 'a whole number of milliseconds from 0 to 2147483647';

  it.each([
    ['connection', 5, 'a URL or a configuration of pg.Client', '5'],
    ['connection', '', 'a URL or a configuration of pg.Client', '""'],
    ['connection', ['db'], 'a URL or a configuration of pg.Client', 'an array'],
    ['listen', 'orders', 'true, false or a list of channels', '"orders"'],
    ['schema', '', string, '""'],
    ['schema', 5, string, '5'],
    ['synchronize', 'yes', boolean, '"yes"'],
    ['verifySchema', true, '"error", "warn" or false', 'true'],
    ['reconnect', 5, object, '5'],
    ['reconnect', [], object, 'an array'],
    ['reconnect.minDelayMs', '100', delay, '"100"'],
    ['reconnect.minDelayMs', 0, delay, '0'],
    ['reconnect.maxDelayMs', 1.5, delay, '1.5'],
    ['reconnect.maxDelayMs', 2 ** 31, delay, '2147483648'],
    ['heartbeat', true, 'false', 'true'],
    ['heartbeat', null, object, 'null'],
    ['heartbeat.intervalMs', 0, delay, '0'],
    ['heartbeat.timeoutMs', Number.NaN, delay, 'NaN'],
    ['poll', 'often', object, '"often"'],
    ['poll.intervalMs', -1, delay, '-1'],
    ['poll.deafIntervalMs', Infinity, delay, 'Infinity'],
    ['concurrency', '4', wholeNumber, '"4"'],
    ['concurrency', 0, wholeNumber, '0'],
    ['concurrency', 2.5, wholeNumber, '2.5'],
    ['batch', 100, object, '100'],
    ['batch.maxSize', 0, wholeNumber, '0'],
    ['batch.maxTimeMs', -1, duration, '-1'],
    ['retry', false, object, 'false'],
    ['retry.maxAttempts', null, wholeNumber, 'null'],
    ['retry.minDelayMs', 0, delay, '0'],
    ['retry.maxDelayMs', 10n, delay, '10'],
    ['deadLetters', 10, object, '10'],
    ['deadLetters.keepMs', -1, `a whole number of milliseconds from 0 to 3155760000000, or false`, '-1'],
    ['deadLetters.keepMs', true, `a whole number of milliseconds from 0 to 3155760000000, or false`, 'true'],
    ['buffer', 10, object, '10'],
    ['buffer.maxSize', 0, wholeNumber, '0'],
    ['buffer.overflow', 'drop', '"drop-oldest", "drop-newest" or "error"', '"drop"'],
    ['shutdownTimeoutMs', -1, duration, '-1'],
    ['globalEnhancers', 'no', boolean, '"no"'],
    ['context', { tenant: 'a' }, 'a function', 'an object'],
    ['traceContext', 'no', boolean, '"no"'],
    ['executor', 'tx', 'a function', '"tx"'],
    ['filter', 'tenant', object, '"tenant"'],
    ['filter.context', ['tenant'], 'an object', 'an array'],
    ['filter.context', undefined, 'an object', 'undefined'],
  ])('rejects "%s" with the value %o', (option, value, expected, got) => {
    const [group = '', member] = option.split('.');
    const options = { [group]: member === undefined ? value : { [member]: value } };

    const error = thrownBy(() => resolve(options)) as Error;

    expect(error).toMatchObject({ name: 'PgPubSubError', code: 'INVALID_OPTIONS' });
    expect(error.message).toContain(`"${option}"`);
    expect(error.message).toContain(expected);
    expect(error.message).toContain(`got ${got}.`);
  });

  it.each([
    ['secret', 'something else (not shown, as it may hold a password)'],
    ['user:secret@db:5432/news', 'something else (not shown, as it may hold a password)'],
    ['host=db password=secret', 'something else (not shown, as it may hold a password)'],
    ['mysql://user:secret@db/news', 'one with mysql://'],
  ])('rejects "%s" as a connection without showing a possible password', (url, got) => {
    const refusal = (option: string) => ({
      code: 'INVALID_OPTIONS',
      message:
        `expected the option "${option}" of PgPubSubModule.forRoot() to be a URL with postgres:// or postgresql://, ` +
        `or the path of a socket, got ${got}. Correct it, or leave it out.`,
    });

    const asText = thrownBy(() => resolve({ connection: url }));
    const asMember = thrownBy(() => resolve({ connection: { connectionString: url } }));

    expect(asText).toMatchObject(refusal('connection'));
    expect(asMember).toMatchObject(refusal('connection.connectionString'));
  });

  it.each([
    ['name', 5, string, '5'],
    ['name', '', string, '""'],
    ['dataSource', 5, string, '5'],
    ['isGlobal', 'yes', boolean, '"yes"'],
  ])('rejects the extra "%s" with the value %o', (option, value, expected, got) => {
    const error = thrownBy(() => resolve({}, { [option]: value }));

    expect(error).toMatchObject({
      code: 'INVALID_OPTIONS',
      message: `expected the option "${option}" of PgPubSubModule.forRoot() to be ${expected}, got ${got}. Correct it, or leave it out.`,
    });
  });

  it('rejects a group without its required member', () => {
    const error = thrownBy(() => resolve({ filter: {} })) as Error;

    expect(error.message).toContain('"filter.context"');
    expect(error.message).not.toContain('to be "context"');
  });

  it('rejects an unknown option and lists the known ones', () => {
    const error = thrownBy(() => resolve({ reconect: {} })) as Error;

    expect(error).toMatchObject({ code: 'INVALID_OPTIONS' });
    expect(error.message).toContain('got "reconect"');
    expect(error.message).toContain('reconnect');
    expect(error.message).toContain('shutdownTimeoutMs');
  });

  it.each(['reconnect', 'heartbeat', 'poll', 'batch', 'retry', 'deadLetters', 'buffer'])(
    'rejects an unknown member of "%s"',
    (group) => {
      expect(thrownBy(() => resolve({ [group]: { interval: 1 } }))).toMatchObject({
        code: 'INVALID_OPTIONS',
        message: expect.stringContaining(`got "${group}.interval"`) as string,
      });
    },
  );

  it.each(['reconnect', 'retry'])('rejects a "%s" whose minDelayMs exceeds its maxDelayMs', (group) => {
    expect(thrownBy(() => resolve({ [group]: { minDelayMs: 10, maxDelayMs: 9 } }))).toMatchObject({
      code: 'INVALID_OPTIONS',
      message: expect.stringMatching(
        `the option "${group}" .* whose "minDelayMs" is at most its "maxDelayMs", got {.*"minDelayMs":10,"maxDelayMs":9}`,
      ) as string,
    });
  });

  it('rejects a minDelayMs that exceeds the default of maxDelayMs', () => {
    expect(thrownBy(() => resolve({ reconnect: { minDelayMs: 30_001 } }))).toMatchObject({
      message: expect.stringContaining('got {"minDelayMs":30001,"maxDelayMs":30000}') as string,
    });
  });

  it.each(['name', 'dataSource', 'isGlobal'])('rejects "%s" in the result of a factory', (extra) => {
    expect(thrownBy(() => resolve({ [extra]: 'reporting' }))).toMatchObject({
      code: 'INVALID_OPTIONS',
      message: expect.stringContaining(`expected "${extra}" beside useFactory`) as string,
    });
  });

  it.each([null, undefined, 'options', 5, () => ({})])('rejects %o instead of options', (options) => {
    expect(thrownBy(() => resolve(options))).toMatchObject({
      code: 'INVALID_OPTIONS',
      message: expect.stringContaining('PgPubSubModule.forRoot()') as string,
    });
  });

  it('rejects a list instead of options', () => {
    expect(thrownBy(() => resolve([]))).toMatchObject({ code: 'INVALID_OPTIONS' });
  });
});

describe('resolveOptions() in an application that uses valibot itself', () => {
  afterEach(() => v.deleteGlobalMessage());

  it('keeps its error messages when that application translates those of valibot', () => {
    v.setGlobalMessage('Ungültig');

    expect(thrownBy(() => resolve({ synchronize: 1 }))).toMatchObject({
      message: expect.stringContaining('to be boolean, got 1') as string,
    });
  });
});
