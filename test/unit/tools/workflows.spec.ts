import { existsSync, readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import packageJson from '../../../package.json' with { type: 'json' };
import { Selection } from '../../consumers/selection.js';
import { locate, readText } from '../../support/documents.js';

type Cell = Readonly<Record<string, string | number>>;
interface Matrix {
  readonly include?: readonly Cell[];
  readonly exclude?: readonly Cell[];
  readonly [axis: string]: readonly (string | number)[] | readonly Cell[] | undefined;
}
interface Job {
  readonly 'timeout-minutes'?: number;
  readonly strategy?: { readonly matrix: Matrix };
  readonly steps: readonly { readonly uses?: string; readonly run?: string; readonly with?: Cell }[];
}
interface Manifest {
  readonly dependencies: Record<string, string>;
}
interface Workflow {
  readonly permissions?: unknown;
  readonly concurrency?: unknown;
  readonly jobs: Readonly<Record<string, Job>>;
}

const FOLDER = '.github/workflows';
const files = readdirSync(locate(FOLDER));
const workflows = files.map((file) => parse(readText(`${FOLDER}/${file}`)) as Workflow);
const ci = parse(readText(`${FOLDER}/ci.yml`)) as Workflow;
const jobs = workflows.flatMap((workflow) => Object.entries(workflow.jobs));
const commandsOf = (job: Job) => job.steps.flatMap(({ run }) => run?.split('\n') ?? []);

/** The product of the axes without `exclude`, and the cells of `include`, which extend no other. */
function cellsOf({ include = [], exclude = [], ...axes }: Matrix): Cell[] {
  const product = Object.entries(axes).reduce<Cell[]>(
    (cells, [axis, values = []]) =>
      cells.flatMap((cell) => values.map((value) => ({ ...cell, [axis]: value as string | number }))),
    Object.keys(axes).length > 0 ? [{}] : [],
  );
  const isExcluded = (cell: Cell) =>
    exclude.some((part) => Object.entries(part).every(([axis, value]) => cell[axis] === value));
  return [...product.filter((cell) => !isExcluded(cell)), ...include];
}

const valuesOf = (axis: string, { strategy }: Job): string[] => {
  const values = cellsOf(strategy?.matrix ?? {}).flatMap((cell) => cell[axis] ?? []);
  return [...new Set(values.map(String))].toSorted((a, b) => Number(a) - Number(b));
};
const jobOf = (name: string): Job => {
  const job = ci.jobs[name];
  if (job === undefined) throw new Error(`ci.yml has no job ${name}`);
  return job;
};
/** Returns the lines of versions in a range: 0.3 and 1 for `^0.3.20 || ^1.0.0`. */
const majorsOf = (range: string) =>
  range.split(' || ').map((part) => /^\^(0\.\d+|\d+)/.exec(part)?.[1] ?? part);

describe('the workflows', () => {
  it.each(jobs)('run existing scripts in the job %s', (_name, job) => {
    const scripts = commandsOf(job).flatMap((line) => /^npm (?:run )?([\w:]+)/.exec(line)?.[1] ?? []);
    expect(scripts.filter((script) => script !== 'ci')).not.toEqual([]);
    const isKnown = (script: string) => script === 'ci' || Object.hasOwn(packageJson.scripts, script);
    expect(scripts.filter((script) => !isKnown(script))).toEqual([]);
  });

  it.each(jobs)('have a timeout and actions of a major version in the job %s', (_name, job) => {
    expect(job['timeout-minutes']).toBeGreaterThan(0);
    const actions = job.steps.flatMap(({ uses }) => uses ?? []);
    expect(actions.filter((action) => !/^actions\/[\w-]+@v\d+$/.test(action))).toEqual([]);
  });

  it.each(jobs)('use axes of the matrix in the job %s', (_name, job) => {
    const used = [...JSON.stringify(job).matchAll(/matrix\.(\w+)/g)].map(([, axis = '']) => axis);
    expect(used.filter((axis) => valuesOf(axis, job).length === 0)).toEqual([]);
  });

  it('have read permissions only, and a concurrency group', () => {
    for (const workflow of workflows) {
      expect(workflow.permissions).toEqual({ contents: 'read' });
      expect(workflow.concurrency).toBeDefined();
    }
  });

  it('run every command of .ci/run', () => {
    const commands = readText('.ci/run').match(/^npm .*$/gm) ?? [];
    const all = new Set(Object.values(ci.jobs).flatMap(commandsOf));
    expect(commands.length).toBeGreaterThan(5);
    expect(commands.filter((command) => !all.has(command))).toEqual([]);
  });
});

describe('the matrix', () => {
  it.each(['check', 'test', 'postgres', 'consumers'])('has Node 20, 22 and 24 in the job %s', (name) => {
    expect(valuesOf('node', jobOf(name))).toEqual(['20', '22', '24']);
  });

  it('begins with the lowest supported version of Node', () => {
    expect(packageJson.engines.node).toMatch(/^>=20\./);
  });

  it('has every supported version of PostgreSQL', () => {
    const postgres = jobOf('postgres');
    expect(valuesOf('postgres', postgres)).toEqual(['11', '12', '13', '14', '15', '16', '17', '18']);
    expect(commandsOf(postgres)).toContain('npm run test:postgres -- ${{ matrix.postgres }}');
  });

  it('has every supported version of Nest and TypeORM', () => {
    const { peerDependencies } = packageJson;
    expect(valuesOf('nest', jobOf('consumers'))).toEqual(majorsOf(peerDependencies['@nestjs/core']));
    expect(valuesOf('typeorm', jobOf('consumers'))).toEqual(majorsOf(peerDependencies.typeorm));
  });

  it('has a consumer for each pair of Nest and TypeORM', () => {
    const consumers = readdirSync(locate('test/consumers')).filter((name) => /^nest\d+-(?!team)/.test(name));
    const manifests = consumers.map(
      (name) => JSON.parse(readText(`test/consumers/${name}/package.json`)) as Manifest,
    );
    const cells = cellsOf(jobOf('consumers').strategy?.matrix ?? {});
    expect(cells).toHaveLength(6);
    for (const { nest, typeorm } of cells) {
      const selection = Selection.parse(['--nest', String(nest), '--typeorm', String(typeorm)]);
      expect(selection.choose(manifests)).not.toEqual([]);
    }
  });
});

describe('the issue forms', () => {
  const forms = readdirSync(locate('.github/ISSUE_TEMPLATE')).filter((file) => file !== 'config.yml');

  it.each(forms)('include %s with a name, a description, and fields with labels', (file) => {
    const form = parse(readText(`.github/ISSUE_TEMPLATE/${file}`)) as {
      name: string;
      description: string;
      body: { type: string; id?: string; attributes: { label?: string; value?: string } }[];
    };
    expect(form).toMatchObject({ name: expect.any(String), description: expect.any(String) });
    const fields = form.body.filter(({ type }) => type !== 'markdown');
    expect(fields.filter(({ id, attributes }) => !id || !attributes.label)).toEqual([]);
    expect(new Set(fields.map(({ id }) => id)).size).toBe(fields.length);
  });

  it('link to existing files', () => {
    const templates = [...forms.map((file) => `ISSUE_TEMPLATE/${file}`), 'pull_request_template.md'];
    const texts = templates.map((file) => readText(`.github/${file}`));
    const targets = texts.flatMap((text) => [...text.matchAll(/\]\(\.\.\/blob\/main\/([^)]+)\)/g)]);
    expect(targets.length).toBeGreaterThan(5);
    expect(targets.flatMap(([, target = '']) => (existsSync(locate(target)) ? [] : target))).toEqual([]);
  });
});

it.each(['CONTRIBUTING.md', 'SECURITY.md'])('the links of %s lead to files that exist', (document) => {
  const targets = [...readText(document).matchAll(/\]\(([^)]+)\)/g)].map(([, target = '']) => target);
  expect(targets).not.toEqual([]);
  expect(targets.filter((target) => !existsSync(locate(target)))).toEqual([]);
});

it('CONTRIBUTING.md names scripts that exist', () => {
  const named = [...readText('CONTRIBUTING.md').matchAll(/npm run ([\w:]+)/g)].map(([, name = '']) => name);
  expect(named.filter((name) => !Object.hasOwn(packageJson.scripts, name))).toEqual([]);
});

it('.editorconfig has the indentation and the line length of prettier', () => {
  const { printWidth } = JSON.parse(readText('.prettierrc.json')) as { printWidth: number };
  expect(readText('.editorconfig')).toMatch(
    new RegExp(`^indent_size = 2$[^]*^max_line_length = ${printWidth}$`, 'm'),
  );
});
