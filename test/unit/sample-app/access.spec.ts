import { describe, expect, it } from 'vitest';
import { withoutPassword } from '../../../sample-app/src/access/database-address.js';
import { findForeign } from '../../../sample-app/src/access/foreign-request.js';

const host = 'localhost:3000';
const found = (headers: Record<string, string>, method = 'POST', url = '/authors') =>
  findForeign({ method, url, headers: { host, ...headers } }, ['news.example.com']);

describe('a request of another site', () => {
  it.each([
    [{ origin: 'https://example.com' }, /got one from "https:\/\/example\.com"/],
    [{ origin: 'http://localhost:4000' }, /got one from "http:\/\/localhost:4000"/],
    [{ origin: 'http://localhost:3000.example.com' }, /got one from/],
    [{ origin: 'null' }, /got one from "null"/],
    [{ origin: '' }, /got one from ""/],
    [{ 'sec-fetch-site': 'cross-site' }, /got one from another site/],
    [{ 'sec-fetch-site': 'same-site' }, /got one from another site/],
    [{ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }, /got one from another site/],
    [{ host: 'example.com:3000' }, /header "Host".+ALLOWED_HOSTS/],
    [{ host: 'localhost.example.com' }, /header "Host"/],
    [{ host: '127.0.0.1.example.com' }, /header "Host"/],
    [{ host: 'localhost:3000@example.com' }, /header "Host"/],
    [{ host: '' }, /header "Host"/],
    [{ host: 'example.com:3000', origin: 'http://example.com:3000' }, /header "Host"/],
    [{ host: 'localhost:99999', origin: 'http://localhost:99999' }, /header "Host"/],
  ])('is found by %o', (headers, sentence) => {
    expect(found(headers)).toMatch(sentence);
  });

  it('is found by its headers when it reads a feed', () => {
    for (const url of ['/feed', '/feed/front-page', '/posts/1']) {
      expect(found({ 'sec-fetch-site': 'cross-site' }, 'GET', url)).toBeDefined();
      expect(
        found({ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }, 'GET', url),
      ).toBeDefined();
      expect(found({ origin: 'https://example.com' }, 'GET', url)).toBeDefined();
    }
  });

  it('is allowed when it opens the page through a link', () => {
    expect(
      found({ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }, 'GET', '/'),
    ).toBeUndefined();
  });
});

it.each([
  {},
  { origin: 'http://localhost:3000' },
  { origin: 'http://localhost:3000', 'sec-fetch-site': 'same-origin' },
  { 'sec-fetch-site': 'none' },
  { host: '127.0.0.1:3000', origin: 'http://127.0.0.1:3000' },
  { host: '[::1]:3000', origin: 'http://[::1]:3000' },
  { host: '192.168.1.7' },
  { host: 'app.localhost:3000', origin: 'http://app.localhost:3000' },
  { host: 'NEWS.example.com', origin: 'https://news.example.com' },
  { host: 'localhost:80', origin: 'http://localhost' },
])('a request of this site or of another program is allowed with the headers %o', (headers) => {
  expect(found(headers)).toBeUndefined();
});

it.each([
  ['postgres://ada@db:5432/news', 'postgres://ada@db:5432/news'],
  ['postgres://ada:secret@db:5432/news', 'postgres://ada@db:5432/news'],
  ['postgres://ada:se%40cret@db/news?sslmode=require', 'postgres://ada@db/news?sslmode=require'],
  ['postgres://ada@db/news?password=secret', 'postgres://ada@db/news'],
  ['postgres://ada@db/news?a=1&sslpassword=secret', 'postgres://ada@db/news?a=1'],
  ['postgres://ada:secret@/news?host=/tmp', 'postgres://…'],
  ['postgres://ada:12/secret@db/news', 'postgres://…'],
  ['postgres://ada:12?secret@db/news', 'postgres://…'],
  ['postgres://ada:12#secret@db/news', 'postgres://…'],
  ['postgres://db:5432/news?application_name=api', 'postgres://db:5432/news?application_name=api'],
  ['/var/run/postgresql news password=secret', 'postgres://…'],
])('the address of a database is shown without its password: %s', (url, shown) => {
  expect(withoutPassword(url)).toBe(shown);
});
