// @ts-check
import { parseArgs } from 'node:util';

/**
 * The versions of Nest and TypeORM that are tested, as the command line names them:
 * `--nest 11 --typeorm 0.3`. A version stands for all that begin with it; without one, every
 * version is tested.
 */
export class Selection {
  /** @param {{ nest?: string | undefined, typeorm?: string | undefined }} [versions] */
  constructor({ nest, typeorm } = {}) {
    this.nest = nest;
    this.typeorm = typeorm;
  }

  /** @param {string[]} args */
  static parse(args) {
    const option = /** @type {const} */ ({ type: 'string' });
    return new Selection(parseArgs({ args, options: { nest: option, typeorm: option } }).values);
  }

  /** Whether an application with these dependencies is tested. @param {Readonly<Record<string, string>>} dependencies */
  includes(dependencies) {
    return (
      isOf(dependencies['@nestjs/core'], this.nest) && this.includesTypeOrm(dependencies['typeorm'] ?? '')
    );
  }

  /** @param {string} version */
  includesTypeOrm(version) {
    return isOf(version, this.typeorm);
  }

  /** The applications that are tested. @template {{ dependencies: Record<string, string> }} T @param {readonly T[]} all */
  choose(all) {
    const chosen = all.filter(({ dependencies }) => this.includes(dependencies));
    if (chosen.length > 0) return chosen;
    const existing = all.map(({ dependencies }) => `${dependencies['@nestjs/core']} with ${dependencies['typeorm']}`); // prettier-ignore
    throw new Error(
      `no application has Nest ${this.nest ?? '(any)'} with TypeORM ${this.typeorm ?? '(any)'}, only: ${[...new Set(existing)].join(', ')}`,
    );
  }
}

/** @param {string | undefined} version @param {string | undefined} wanted */
const isOf = (version, wanted) =>
  wanted === undefined || version === wanted || version?.startsWith(`${wanted}.`) === true;
