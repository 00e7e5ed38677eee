import type { DataSource, QueryRunner } from 'typeorm';

/** A statement as TypeORM's schema builder keeps it. */
export interface SchemaStatement {
  readonly query: string;
  readonly parameters?: unknown[];
}

/** The statements of a migration in TypeORM's order: those of `down` run in reverse. */
export interface SchemaStatements {
  readonly up: readonly SchemaStatement[];
  readonly down: readonly SchemaStatement[];
}

export interface SchemaExtension {
  /** Resolves with the statements of a migration; `tables` returns those of TypeORM. */
  log(tables: () => Promise<SchemaStatements>): Promise<SchemaStatements>;
  /** Changes the schema. `buildTables` runs TypeORM's part on an open runner; `tables` reads it. */
  build(
    buildTables: (runner: QueryRunner) => Promise<void>,
    tables: (runner: QueryRunner) => Promise<SchemaStatements>,
  ): Promise<void>;
}

/** The part of TypeORM's schema builder that its commands call; some of it is undeclared. */
interface SchemaBuilder {
  log(): Promise<{ upQueries: SchemaStatement[]; downQueries: SchemaStatement[] }>;
  build(): Promise<void>;
}

/** Replaces methods: TypeORM checks the builder's class, and offers no place for another one. */
export function extendSchemaBuilder(dataSource: DataSource, extension: SchemaExtension): void {
  const driver = dataSource.driver as unknown as { createSchemaBuilder(): SchemaBuilder };
  const create = driver.createSchemaBuilder.bind(driver);
  driver.createSchemaBuilder = () => {
    const builder = create();
    const log = builder.log.bind(builder);
    const build = builder.build.bind(builder);
    builder.log = async () => {
      let memory: Awaited<ReturnType<typeof log>> | undefined; // an object of TypeORM with more members
      const { up, down } = await extension.log(async () => {
        memory = await log();
        return { up: memory.upQueries, down: memory.downQueries };
      });
      return Object.assign(memory ?? (await log()), { upQueries: [...up], downQueries: [...down] });
    };
    builder.build = () =>
      extension.build(
        (runner) => buildOn(runner, dataSource, builder, build),
        async (runner) => {
          const reader = create();
          const { upQueries, downQueries } = await buildOn(runner, dataSource, reader, () => reader.log());
          return { up: upQueries, down: downQueries };
        },
      );
    return builder;
  };
}

/** Runs TypeORM's schema builder on this runner, instead of on one of the DataSource. */
async function buildOn<T>(
  runner: QueryRunner,
  dataSource: DataSource,
  builder: SchemaBuilder,
  build: () => Promise<T>,
): Promise<T> {
  const release = runner.release.bind(runner);
  const view = Object.create(dataSource, { createQueryRunner: { value: () => runner } }) as DataSource;
  const names = Object.entries(builder).filter(([, value]) => value === dataSource); // `connection` before TypeORM 1
  for (const [name] of names) Reflect.set(builder, name, view);
  runner.release = () => Promise.resolve();
  try {
    return await build();
  } finally {
    runner.release = release;
    for (const [name] of names) Reflect.set(builder, name, dataSource);
  }
}

/** Returns a statement that `migration:generate --pretty` cannot format, which breaks functions. */
export const verbatim = (text: string): SchemaStatement => ({
  get query() {
    return text;
  },
  set query(_) {},
});
