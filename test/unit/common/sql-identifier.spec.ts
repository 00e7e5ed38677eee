import { describe, expect, it } from 'vitest';
import {
  quoteIdentifier,
  quoteLiteral,
  quoteQualified,
  quoteTextArray,
} from '../../../lib/common/sql-identifier.js';

describe('quoteIdentifier()', () => {
  it.each([
    ['orders', '"orders"'],
    ['Orders', '"Orders"'],
    ['two words', '"two words"'],
    ['say "hi"', '"say ""hi"""'],
    ['"; drop table x; --', '"""; drop table x; --"'],
  ])('renders %s as %s', (name, expected) => {
    expect(quoteIdentifier(name)).toBe(expected);
  });
});

describe('quoteQualified()', () => {
  it('quotes the schema and the name', () => {
    expect(quoteQualified('my app', 'Orders')).toBe('"my app"."Orders"');
  });
});

describe('quoteLiteral()', () => {
  it.each([
    ['orders', `'orders'`],
    ['', `''`],
    [`it's`, `'it''s'`],
    [String.raw`a\b`, String.raw` E'a\\b'`],
    [String.raw`\'; drop table x; --`, String.raw` E'\\''; drop table x; --'`],
  ])('renders %s as %s', (text, expected) => {
    expect(quoteLiteral(text)).toBe(expected);
  });
});

describe('quoteTextArray()', () => {
  it('renders an array of texts, also an empty one', () => {
    expect(quoteTextArray(['a', `b's`])).toBe(`array['a', 'b''s']::text[]`);
    expect(quoteTextArray([])).toBe('array[]::text[]');
  });
});
