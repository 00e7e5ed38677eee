import { describe, expect, it } from 'vitest';
import { shortenGeoJson } from '../../../lib/triggers/geo-json.js';

const point = (...coordinates: string[]) => `{"type":"Point","coordinates":[${coordinates.join(',')}]}`;

describe('shortenGeoJson()', () => {
  // pairs from PostGIS 3.3: `geometry::json`, then `ST_AsGeoJSON(geometry, digits)`
  it.each([
    [9, '0.123456789012345', '0.123456789'],
    [9, '-71.5', '-71.5'],
    [9, '123456789012.12346', '123456789012.12346'],
    [9, '1.234567890123457e+17', '1.23456789e+17'],
    [9, '-1.797693134862316e+308', '-1.797693135e+308'],
    [9, '1e-10', '1e-10'],
    [9, '9.99999999999e-9', '10e-9'],
    [9, '0.0000000123456', '0.000000012'],
    [1, '0.25', '0.2'],
    [1, '0.35', '0.4'],
    [1, '99.96', '100'],
    [1, '-0.05', '0'],
    [1, '-0.06', '-0.1'],
    [1, '1.95e+20', '2e+20'],
  ])('rounds decimal digits half to even: to %i digits, %s becomes %s', (digits, number, expected) => {
    expect(shortenGeoJson(point(number, '1'), digits)).toBe(point(expected, '1'));
  });

  it('keeps nine digits by default', () => {
    expect(shortenGeoJson(point('0.12345678951', '2'))).toBe(point('0.12345679', '2'));
  });

  it('omits only the reference system EPSG:4326', () => {
    const inSystem = (name: string) =>
      `{"type":"Point","crs":{"type":"name","properties":{"name":"${name}"}},"coordinates":[1,2]}`;
    expect(shortenGeoJson(inSystem('EPSG:4326'))).toBe(point('1', '2'));
    expect(shortenGeoJson(inSystem('EPSG:3857'))).toBe(inSystem('EPSG:3857'));
  });
});
