import 'reflect-metadata';
import { NotifyChanges, withPgPubSub, type NotifyChangesOptions } from 'nestjs-pgpubsub';
import { Column, DataSource, Entity, PrimaryGeneratedColumn } from 'typeorm';

/** The declarations of the entity, by the value of the environment variable DECLARATION. */
const DECLARATIONS: Record<string, readonly NotifyChangesOptions[]> = {
  first: [
    { on: ['insert', 'update', 'delete', 'truncate'] },
    {
      channel: 'it\'s a `${channel}` \\ of "ours"',
      level: 'statement',
      when: `NEW.name <> 'it''s \`a\` \${b} \\ c'`,
    },
  ],
  // older versions of TypeORM write backslashes and dollar signs unescaped into template literals
  plain: [
    { on: ['insert', 'update', 'delete', 'truncate'] },
    { channel: "it's `ours`", level: 'statement', when: `NEW.name <> 'it''s \`a\`'` },
  ],
  changed: [{ columns: ['id', 'name'], of: ['name'], when: 'coalesce(NEW.id, OLD.id) > 0' }],
  stored: [
    { delivery: 'exactly-once', ordered: true, level: 'statement', when: 'coalesce(NEW.id, OLD.id) > 0' },
  ],
  none: [],
};

@Entity()
class Author {
  @PrimaryGeneratedColumn() id!: number;
  @Column('text', { default: 'none' }) name!: string;
}

const { DECLARATION = '', DATABASE_URL = '', MIGRATIONS = '' } = process.env;
for (const options of DECLARATIONS[DECLARATION] ?? []) NotifyChanges(options)(Author);

/** The DataSource for the command line of TypeORM; see `test/consumers/typeorm-cli.js`. */
export default withPgPubSub(
  new DataSource({
    type: 'postgres',
    url: DATABASE_URL,
    poolSize: 1,
    entities: [Author],
    migrations: [`${MIGRATIONS}/*.js`],
  }),
);
