import fs from 'node:fs';
import path from 'node:path';
import { startPostgres } from '../../tools/embedded-postgres.js';

/** The directory in which Debian and Ubuntu install PostgreSQL, one directory per version. */
const INSTALLATIONS = '/usr/lib/postgresql';
const EXTENSIONS = (version: string) => `/usr/share/postgresql/${version}/extension`;

/** The newest PostgreSQL of the system with PostGIS; the binaries from npm have no PostGIS. */
export const postgisInstallation = (fs.existsSync(INSTALLATIONS) ? fs.readdirSync(INSTALLATIONS) : [])
  .filter((version) => fs.existsSync(path.join(EXTENSIONS(version), 'postgis.control')))
  .toSorted((a, b) => Number(b) - Number(a))
  .map((version) => path.join(INSTALLATIONS, version))
  .find((directory) => fs.existsSync(path.join(directory, 'bin', 'initdb')));

/** Starts a server whose databases can have PostGIS; `stop` removes it. */
export async function startPostgis(): Promise<{ url: string; stop: () => Promise<void> }> {
  if (postgisInstallation === undefined) throw new Error('PostGIS is not installed');
  return startPostgres({ installation: postgisInstallation });
}

/** Geometry values that have GeoJSON. */
export const SHAPES = [
  'POINT(0.1 0.2)',
  'SRID=4326;POINT(0.12345678949 -71.98765432109)',
  'SRID=3857;POINT(1000000.1234567891 2)',
  'SRID=4326;LINESTRING(1e300 123456789012345678,1e-10 -1e-9)',
  'POINT Z(1 2 3)',
  'POINT M(1 2 3)',
  'POINT ZM(1 2 3 4)',
  'POINT EMPTY',
  'POLYGON EMPTY',
  'GEOMETRYCOLLECTION EMPTY',
  'SRID=4326;POLYGON((0 0,1 0,1 1,0 0))',
  'MULTIPOLYGON(EMPTY,((0 0,1 0,1 1,0 0)))',
  'SRID=4326;GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))',
  'TIN(((0 0 0,0 0 1,0 1 0,0 0 0)))',
];

/** Geography values that have GeoJSON. */
export const SPOTS = ['POINT(0.12345678949 0.2)', 'SRID=4267;POINT(1 2)', 'POINT Z(1 2 3)', 'POINT EMPTY'];

/** Values for which ST_AsGeoJSON() fails, or returns a text that is not JSON. */
export const WITHOUT_GEOJSON = [
  'CIRCULARSTRING(0 0,1 1,2 0)',
  'COMPOUNDCURVE(CIRCULARSTRING(0 0,1 1,2 0),(2 0,3 3))',
  'CURVEPOLYGON(CIRCULARSTRING(0 0,4 0,4 4,0 4,0 0))',
  'MULTICURVE((0 0,5 5),CIRCULARSTRING(4 0,4 4,8 4))',
  'POLYHEDRALSURFACE(((0 0 0,0 0 1,0 1 1,0 1 0,0 0 0)))',
  'GEOMETRYCOLLECTION(GEOMETRYCOLLECTION(POINT(1 2)))',
  'MULTIPOINT(EMPTY,1 1)',
  'SRID=998999;POINT(1 2)',
  '0101000000000000000000F87F000000000000F03F', // not a number
];
