// @ts-check
import { isDeepStrictEqual } from 'node:util';
import { Column, DataSource, Entity, PrimaryColumn } from 'typeorm';
// not public: turns the row of a trigger into an entity
import { RowHydrators } from '../../dist/triggers/row.hydrator.js';
import { assert, measure } from '../measure.js';

const COLUMNS = {
  id: 'bigint', name: 'text', email: 'text', active: 'boolean', age: 'int', balance: 'numeric',
  city: 'text', score: 'float8', born: 'date', createdAt: 'timestamptz',
}; // prettier-ignore

class Author {}
for (const [property, type] of Object.entries(COLUMNS)) {
  const column =
    property === 'id' ? PrimaryColumn({ type: 'bigint' }) : Column({ type: /** @type {'text'} */ (type) });
  column(Author.prototype, property);
}
Entity()(Author);

export default {
  title: 'turning a row of 10 columns into an entity, microseconds (lower is better)',
  /** @param {{ url: string, rounds: number, quick: boolean }} options */
  async run({ url, rounds, quick }) {
    const count = quick ? 50_000 : 200_000;
    const dataSource = await new DataSource({
      type: 'postgres',
      url,
      entities: [Author],
      synchronize: true,
    }).initialize();
    await dataSource.query(`insert into author values (9007199254740993, 'Ada Lovelace', 'ada@example.com', true, 36,
      1234.50, 'London', 0.5, '1815-12-10', '2024-01-01T12:00:00Z')`);
    const [{ text }] = await dataSource.query('select row_to_json(author)::text as text from author');
    const loaded = await dataSource.manager.findOneByOrFail(Author, {});
    const hydrator = (await RowHydrators.load(dataSource)).find('public', 'author');
    assert(hydrator !== undefined, 'a hydrator');

    /** @param {string} name @param {() => object} work @param {(entity: any) => boolean} isRight */
    const variant = (name, work, isRight) => ({
      name,
      run: async () => {
        const began = performance.now();
        let entity = {};
        for (let index = 0; index < count; index++) entity = work();
        const elapsed = performance.now() - began;
        assert(entity instanceof Author && isRight(entity), `${JSON.stringify(entity)} as the entity`);
        return (elapsed / count) * 1_000;
      },
    });
    const rows = await measure(
      [
        variant(
          "JSON.parse and TypeORM's create()", // loses digits of the bigint, and has no Date
          () => dataSource.manager.create(Author, JSON.parse(text)),
          ({ name }) => name === 'Ada Lovelace',
        ),
        variant(
          'nestjs-pgpubsub',
          () => /** @type {{ hydrate(text: string): object }} */ (hydrator).hydrate(text),
          (entity) =>
            entity.id === '9007199254740993' &&
            entity.createdAt instanceof Date &&
            isDeepStrictEqual(entity, loaded),
        ),
      ],
      rounds,
    );
    await dataSource.destroy();
    return rows;
  },
};
