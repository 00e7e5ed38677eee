import { expect, it } from 'vitest';
import { Selection } from '../../consumers/selection.js';

const app = (nest: string, typeorm: string) => ({ dependencies: { '@nestjs/core': nest, typeorm } });
const floor = app('11.0.0', '0.3.20');
const nest11 = app('11.2.10', '0.3.31');
const nest12 = app('12.5.1', '1.1.1');
const choose = (...args: string[]) => Selection.parse(args).choose([floor, nest11, nest12]);

it('Selection chooses all applications without arguments', () => {
  expect(choose()).toEqual([floor, nest11, nest12]);
});

it('Selection chooses applications by the version of Nest, of TypeORM, or of both', () => {
  expect(choose('--nest', '11')).toEqual([floor, nest11]);
  expect(choose('--typeorm', '1')).toEqual([nest12]);
  expect(choose('--nest', '11', '--typeorm', '0.3.20')).toEqual([floor]);
});

it('Selection compares whole numbers of a version', () => {
  expect(Selection.parse(['--typeorm', '1']).includesTypeOrm('10.0.0')).toBe(false);
  expect(Selection.parse(['--typeorm', '0.3']).includesTypeOrm('0.3')).toBe(true);
});

it('Selection rejects versions that no application has, and names the existing ones', () => {
  expect(() => choose('--nest', '12', '--typeorm', '0.3')).toThrow(
    'no application has Nest 12 with TypeORM 0.3, only: 11.0.0 with 0.3.20, 11.2.10 with 0.3.31, 12.5.1 with 1.1.1',
  );
});

it('Selection rejects an unknown argument', () => {
  expect(() => Selection.parse(['nest11'])).toThrow('nest11');
});
