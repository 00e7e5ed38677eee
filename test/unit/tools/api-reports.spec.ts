import { expect, it } from 'vitest';
import { pruneReport, readEntryPoints } from '../../../tools/api-reports.js';

const prune = (code: string, known?: ReadonlySet<string>) =>
  pruneReport(`## API Report\n\n\`\`\`ts\n\n${code}\n\n\`\`\`\n`, known);

it('readEntryPoints() returns each entry point that has types', () => {
  expect(readEntryPoints().map(({ name }) => name)).toEqual(['nestjs-pgpubsub', 'terminus', 'testing']);
});

it('pruneReport() keeps the declarations and imports that exports refer to, in the same order', () => {
  const code = `import type { DataSource } from 'typeorm';
import * as v from 'valibot';

const OPTIONS: {
    size: Option<number>;
};

type Option<T> = v.GenericSchema<T>;

export interface Options extends Checked<typeof OPTIONS> {
}

type Checked<T> = T;`;
  const { code: pruned, names } = prune(`${code}\n\ninterface Unused {\n    source: DataSource;\n}`);
  expect(pruned).toBe(code.replace("import type { DataSource } from 'typeorm';\n", ''));
  expect([...names]).toEqual(['OPTIONS', 'Option', 'Options', 'Checked']);
});

it('pruneReport() keeps a declaration that is exported under another name', () => {
  const code = 'interface Event_2 {\n}\n\nexport { Event_2 as Event }';
  expect(prune(code).code).toBe(code);
});

it('pruneReport() removes internal members and the declarations that only they refer to', () => {
  const code = `// @public
export class Service {
    // @internal
    constructor(instance: Instance);
    // (undocumented)
    notify(): void;
}

class Instance {
}`;
  expect(prune(code).code).toBe('export class Service {\n    notify(): void;\n}');
});

it('pruneReport() removes comments', () => {
  const code = "// @public\nexport type State =\n/** It is\n* open. */\n'open'\n/** closed */\n| 'closed';";
  expect(prune(code).code).toBe("export type State =\n'open'\n| 'closed';");
});

it('pruneReport() removes declarations that another report contains', () => {
  const code =
    'export class Tester {\n    of(service: Service): Own;\n}\n\nclass Service {\n}\n\nclass Own {\n}';
  expect(prune(code, new Set(['Service'])).code).toBe(code.replace('class Service {\n}\n\n', ''));
});
