import { describe, expect, it } from 'vitest';
import { checkPackage } from '../../../tools/check-package.js';

const check = (files: Record<string, string>) =>
  checkPackage(new Map(Object.entries({ 'package.json': '{}', ...files })));
const map = (parts: object) => JSON.stringify({ version: 3, mappings: '', ...parts });

describe('the files of the package', () => {
  it('accepts the build, the documentation and the documents beside package.json', () => {
    const packed = ['README.md', 'LICENSE', 'dist/index.js', 'dist/cli/main.d.ts', 'docs/plots/a.svg'];
    expect(check(Object.fromEntries(packed.map((file) => [file, ''])))).toEqual([]);
  });

  it.each(['lib/index.ts', 'dist/tsconfig.tsbuildinfo', 'docs/.DS_Store', 'bench/run.js', '.env'])(
    'rejects %s',
    (file) => {
      const remedy = 'is packed, but is no file to publish: see "files" of package.json';
      expect(check({ [file]: '' })).toEqual([`${file} ${remedy}`]);
    },
  );

  it('rejects an entry of package.json that is not packed', () => {
    const manifest = {
      main: './dist/index.js',
      bin: { pgpubsub: 'dist/cli/main.js' },
      exports: { '.': { types: './dist/index.d.ts' }, './package.json': './package.json' },
    };
    expect(check({ 'package.json': JSON.stringify(manifest), 'dist/index.js': '' })).toEqual([
      'dist/cli/main.js is an entry of package.json, but is not packed',
      'dist/index.d.ts is an entry of package.json, but is not packed',
    ]);
  });
});

describe('the source maps of the package', () => {
  it('rejects a map whose source is neither in the map nor packed', () => {
    expect(check({ 'dist/a/b.d.ts.map': map({ sources: ['../../lib/a/b.ts'] }) })).toEqual([
      'dist/a/b.d.ts.map points to ../../lib/a/b.ts, which is neither in the map nor packed',
    ]);
  });

  it('reads the sourceRoot of a map', () => {
    const files = { 'dist/b.js.map': map({ sourceRoot: '../lib', sources: ['b.ts'] }) };
    expect(check(files)).toHaveLength(1);
    expect(check({ ...files, 'lib/b.ts': '' })).toEqual([expect.stringMatching(/^lib\/b\.ts is packed/)]);
  });

  it('accepts a map that contains its sources', () => {
    const sources = { sources: ['../lib/a.ts'], sourcesContent: ['export {};'] };
    expect(check({ 'dist/a.js.map': map(sources) })).toEqual([]);
  });

  it('rejects a map that contains some of its sources only', () => {
    const sources = { sources: ['../lib/a.ts', '../lib/b.ts'], sourcesContent: ['export {};', null] };
    expect(check({ 'dist/a.js.map': map(sources) })).toEqual([expect.stringContaining('../lib/b.ts')]);
  });

  it.each(['dist/a.js', 'dist/a.d.ts'])('rejects a link of %s to a map that is not packed', (file) => {
    expect(check({ [file]: 'export {};\n//# sourceMappingURL=a.map' })).toEqual([
      `${file} links to the source map a.map, which is not packed`,
    ]);
  });

  it('accepts a link to a map that is packed, and a map in the file itself', () => {
    const packed = { 'dist/a.js.map': map({ sources: [] }), 'dist/a.js': '//# sourceMappingURL=a.js.map\n' };
    expect(check(packed)).toEqual([]);
    expect(check({ 'dist/a.js': '//# sourceMappingURL=data:application/json;base64,e30=' })).toEqual([]);
  });
});
