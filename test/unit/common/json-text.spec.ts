import { describe, expect, it } from 'vitest';
import {
  parseLossless,
  readJsonString,
  splitJsonArray,
  splitJsonObject,
} from '../../../lib/common/json-text.js';

describe('parseLossless()', () => {
  it.each([
    '0', '-0', '1.10', '-12.5e3', '0.1', '9007199254740991', '9007199254740992.0', '1e21', '123456789012345680000', '5e-324',
    '0.000000000000000000001', '00', '1.', '--1', '[1', String.raw`"\"9007199254740993"`, '{"9007199254740993":1}',
  ])('has the same result as JSON.parse() for %s', (text) => {
    const outcome = (parse: (text: string) => unknown) => {
      try {
        return parse(text);
      } catch (error) {
        return (error as Error).name;
      }
    };
    expect(outcome(parseLossless)).toEqual(outcome(JSON.parse));
  }); // prettier-ignore

  it.each([
    '9007199254740993',
    '-9007199254740993',
    '0.12345678901234567891',
    '1234567890123456789.10',
    '1e400',
    '1e-400',
  ])('keeps the number %s as text', (number) => {
    expect(parseLossless(`{"a":${number},"b":["9007199254740993 \\" 1e400",${number}]}`)).toEqual({
      a: number,
      b: ['9007199254740993 " 1e400', number],
    });
  });
});

describe('a text of a million characters', () => {
  it('is split in linear time, with backslashes, quotes and members', () => {
    const backslashes = `"${'\\\\'.repeat(500_000)}"`;
    const quotes = `"${String.raw`\"`.repeat(500_000)}"`;
    const members = `{${Array.from({ length: 100_000 }, (_, index) => `"${index}":${index}`).join(',')}}`;
    expect([...splitJsonObject(`{"a":${backslashes},"b":${quotes},"c":${members}}`).values()]).toEqual([backslashes, quotes, members]);
    expect(splitJsonObject(members).size).toBe(100_000);
    expect(splitJsonArray(`[${quotes},${backslashes}]`)).toEqual([quotes, backslashes]);
  }); // prettier-ignore

  const zeros = '0'.repeat(1_000_000);
  it.each([
    ['digits', `1${zeros}1`],
    ['digits after the decimal point', `0.1${zeros}1`],
    ['zeros before digits', `0.${zeros}1`],
    ['an exponent after zeros', `1${zeros}1e-5`],
  ])('is read without backtracking: %s', (_name, number) => {
    expect(parseLossless(`[${number}]`)).toEqual([number]);
  });

  it('is rejected without backtracking: an unterminated string', () => {
    expect(() => parseLossless(`"${zeros}`)).toThrow(SyntaxError);
  });
});

describe('splitJsonObject()', () => {
  it('returns each member as it was written', () => {
    const text = '{"id":9007199254740993,"price":1.10,"name":"Ada","none":null,"yes":true,"far":-1.5e+400}';
    expect([...splitJsonObject(text)]).toEqual([
      ['id', '9007199254740993'],
      ['price', '1.10'],
      ['name', '"Ada"'],
      ['none', 'null'],
      ['yes', 'true'],
      ['far', '-1.5e+400'],
    ]);
  });

  it('does not split nested objects, arrays and strings', () => {
    const members = {
      object: String.raw`{"a": [1, {"b": "}]\\"}], "c": {}}`,
      array: String.raw`[[], "[\"", {"]": "{"}]`,
      string: String.raw`"a, \"b\": }\\"`,
    };
    const text = `{${Object.entries(members)
      .map(([key, source]) => `"${key}":${source}`)
      .join()}}`;
    expect(Object.fromEntries(splitJsonObject(text))).toEqual(members);
  });

  it('ignores space between the parts', () => {
    expect([...splitJsonObject(' \t\r\n{ "a" : 1 ,\n"b":\t[ 1 , 2 ] } \n')]).toEqual([
      ['a', '1'],
      ['b', '[ 1 , 2 ]'],
    ]);
  });

  it('reads keys with any characters', () => {
    const keys = ['', '__proto__', 'a"b', 'back\\slash\\', '2', '1', '\u00e4\u{1F600}\n', '{":}'];
    const text = JSON.stringify(Object.fromEntries(keys.map((key) => [key, key])));
    const expected = Object.keys(JSON.parse(text) as object).toSorted();
    expect([...splitJsonObject(text).keys()].toSorted()).toEqual(expected);
    expect([...splitJsonObject(String.raw`{"caf\u00e9":1}`).keys()]).toEqual(['café']);
    expect([...splitJsonObject('{"__proto__":1,"2":2,"1":3}').keys()]).toEqual(['__proto__', '2', '1']);
  });

  it('returns the last of several members with the same key, like JSON.parse()', () => {
    expect([...splitJsonObject('{"a":1,"a":2}')]).toEqual([['a', '2']]);
  });

  it('returns an empty result for an empty input', () => {
    expect(splitJsonObject('{}').size).toBe(0);
    expect(splitJsonObject(' { } ').size).toBe(0);
  });

  it('accepts any depth', () => {
    const deep = '['.repeat(100_000) + ']'.repeat(100_000);
    expect(splitJsonObject(`{"deep":${deep}}`).get('deep')).toBe(deep);
  });

  it('has the same result as JSON.parse()', () => {
    const value = { a: [1, { b: 'x"y\\' }], '': null, c: { d: [[], {}] }, e: '\u2028', f: -0.5, g: '\\"' };
    for (const space of [undefined, 2, '\t']) {
      const members = splitJsonObject(JSON.stringify(value, null, space));
      expect(Object.fromEntries([...members].map(([key, source]) => [key, JSON.parse(source)]))).toEqual(
        value,
      );
    }
  });
});

describe('a white space character', () => {
  it.each([' ', '\t', '\n', '\r', ' \r\n\t '])('is ignored when JSON allows it: %j', (space) => {
    const text = ['', '{', '"a"', ':', '1', ',', '"b"', ':', '[', '2', ',', '3', ']', '}', ''].join(space);
    expect([...splitJsonObject(text)].map(([key, source]) => [key, JSON.parse(source)])).toEqual(
      Object.entries(JSON.parse(text) as object),
    );
    expect(splitJsonArray(`${space}[${space}1${space},${space}2${space}]${space}`)).toEqual(['1', '2']);
  });

  it.each(['\v', '\f', '\0', '\u00a0', '\u2028', '\ufeff', '\u3000'])('is rejected when JSON does not allow it: %j', (space) => {
    for (const text of [`${space}{"a":1}`, `{${space}"a":1}`, `{"a"${space}:1}`, `{"a":${space}1}`, `{"a":1${space}}`, `{"a":1}${space}`])
      expect(() => splitJsonObject(text)).toThrow(SyntaxError);
    expect(() => splitJsonArray(`[1${space},2]`)).toThrow(SyntaxError);
  }); // prettier-ignore
});

describe('splitJsonArray()', () => {
  it('returns each element as it was written', () => {
    const text = String.raw` [ 1.10, "a,]\"", [1, [2]],{"b":[]} , null] `;
    expect(splitJsonArray(text)).toEqual(['1.10', String.raw`"a,]\""`, '[1, [2]]', '{"b":[]}', 'null']);
  });

  it('returns an empty result for an empty input', () => {
    expect(splitJsonArray('[]')).toEqual([]);
    expect(splitJsonArray(' [ ] ')).toEqual([]);
  });
});

it('readJsonString() decodes a JSON string', () => {
  expect(readJsonString(String.raw`"a\"\\\n\u00e4"`)).toBe('a"\\\nä');
});

describe('a text that is not JSON', () => {
  it.each([
    '',
    ' ',
    '{',
    '[]',
    'null',
    '1',
    '"a"',
    '{"a"}',
    '{"a":}',
    '{"a":1',
    '{"a":1,',
    '{"a":1,}',
    '{,"a":1}',
    '{"a" 1}',
    '{"a"::1}',
    '{"a":1 2}',
    '{"a":1;"b":2}',
    '{a:1}',
    "{'a':1}",
    '{1:1}',
    '{"a":1}}',
    '{"a":1} x',
    '{"a":1}{}',
    '{"a":"}',
    String.raw`{"a":"b\"}`,
    String.raw`{"a\":1}`,
    '{"a":[1}',
    '{"a":[}]}',
    '{"a":{"b":1]}',
    '{"a":[[1]}',
    '{"a":tru}',
    '{"a":truee}',
    '{"a":NaN}',
    '{"a":undefined}',
    '{"a":01}',
    '{"a":+1}',
    '{"a":1.}',
    '{"a":.5}',
    '{"a":1e}',
    '{"a":--1}',
    '{"a":1]',
    '{"a":\u00a01}',
    String.raw`{"\x":1}`,
  ])('is rejected by splitJsonObject(): %j', (text) => {
    expect(() => splitJsonObject(text)).toThrow(SyntaxError);
  });

  it.each(['', '[', '{}', '[1', '[1,', '[1,]', '[,1]', '[1}', '[1 2]', '[1]]', '["a]', '[a]', '[[1]', '[{]'])(
    'is rejected by splitJsonArray(): %j',
    (text) => {
      expect(() => splitJsonArray(text)).toThrow(SyntaxError);
    },
  );

  it('is rejected with the position of the error', () => {
    expect(() => splitJsonObject('{"a":"x";"b":2}')).toThrow(
      new SyntaxError(String.raw`expected "," at position 8 of the JSON text, got ";\"b\":2}"`),
    );
    expect(() => splitJsonArray('[1')).toThrow('got the end of the text');
  });
});
