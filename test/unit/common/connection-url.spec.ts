import { describe, expect, it } from 'vitest';
import { describeNoUrl, hasSeveralHosts } from '../../../lib/common/connection-url.js';

describe('describeNoUrl()', () => {
  it.each([
    'postgres://me:secret@db:5432/news',
    'postgresql://me@example.com:p%2Fw@db/news?user=a@b',
    'postgres://db/news?host=/var/run,no'.replace(',no', ''),
    'postgres://%2Fvar%2Frun/news',
    'socket:/var/run?db=news',
    '/var/run news',
  ])('accepts %s', (url) => {
    expect(describeNoUrl(url)).toBeUndefined();
  });

  it.each([
    'postgres://a,b/news',
    'postgres://me:secret@a:5432,b:5433/news',
    'postgres:///news?host=a,b',
    'postgres://a/news?sslmode=require&host=a%2Cb',
  ])('reports several hosts in %s', (url) => {
    expect(describeNoUrl(url)).toMatch(/^one with several hosts/);
    expect(hasSeveralHosts(url)).toBe(true);
  });

  it('reports no second host for a comma in a password', () => {
    expect(describeNoUrl('postgres://me:se,cret@db/news')).toBeUndefined();
  });

  it.each(['postgres://me:12/34@db/news', 'postgres://me:12#34@db/news', 'postgres://me:12?34@db/news'])(
    'reports a password that is not encoded in %s, without showing it',
    (url) => {
      expect(describeNoUrl(url)).toMatch(/^one with an unencoded character in its password/);
      expect(describeNoUrl(url)).not.toMatch(/12|34/);
    },
  );
});
