/**
 * The import rule of ARCHITECTURE.md. Each folder may import itself and the folders of the rows
 * above it, but no other folder of its own row.
 */
const LAYERS = [
  ['common'],
  ['channels'],
  ['postgres'],
  ['storage'],
  ['connection', 'publishing', 'listeners', 'claims', 'store', 'triggers'],
  ['dispatch'],
  ['observability'],
  ['instance'],
  ['root'], // the files directly in lib/
  ['cli', 'testing', 'terminus'],
];

const pathOf = (room) => (room === 'root' ? '^lib/[^/]+$' : `^lib/${room}/`);

const rooms = LAYERS.flatMap((layer, level) =>
  layer.map((room) => {
    const allowed = [...LAYERS.slice(0, level).flat(), room].map(pathOf);
    return {
      name: `${room}-imports-below`,
      severity: 'error',
      comment: `lib/${room} may import only itself and the layers below it`,
      from: { path: pathOf(room) },
      to: { path: '^lib/', pathNot: allowed },
    };
  }),
);

/** Allows a package at run time only in some folders. Every folder may use its types. */
const only = (name, path, rooms) => ({
  name: `${name}-only-at-the-edge`,
  severity: 'error',
  from: { path: '^lib/', pathNot: rooms.map(pathOf) },
  to: { path, dependencyTypesNot: ['type-only'] },
});

module.exports = {
  forbidden: [
    ...rooms,
    only('pg', '^node_modules/pg/', ['connection']),
    only('typeorm', '^node_modules/typeorm/', [
      'postgres',
      'publishing',
      'triggers',
      'instance',
      'root',
      'cli',
      'testing',
    ]),
    only('nest', '^node_modules/@nestjs/', ['listeners', 'instance', 'root', 'cli', 'testing', 'terminus']),
    only('opentelemetry', '^node_modules/@opentelemetry/', ['observability']),
    {
      name: 'no-circular',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'no-barrels-below-index',
      severity: 'error',
      from: {},
      to: { path: '^lib/.+/index\\.ts$' },
    },
    {
      name: 'lib-stands-alone',
      severity: 'error',
      from: { path: '^lib/' },
      to: { path: '^(test|sample-app|bench|tools)/' },
    },
    { name: 'no-unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['types', 'import', 'require', 'node', 'default'],
      extensions: ['.ts', '.js', '.d.ts'],
    },
    detectJSDocImports: false,
  },
};
