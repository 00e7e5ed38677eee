import { expect, it } from 'vitest';
import { VERSION } from '../../../lib/common/version.js';
import { readText } from '../../support/documents.js';

it('VERSION is the version in package.json', () => {
  expect(JSON.parse(readText('package.json'))).toHaveProperty('version', VERSION);
});
