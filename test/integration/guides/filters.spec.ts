import { expect, it } from 'vitest';
import { Effect, useStored } from '../../support/stored.js';
import { EffectWritten, Reads } from './filters.app.js';

const { start, deadLetters, settled } = useStored();

it('the filter of docs/nest.md completes notifications about deleted rows', async () => {
  await using app = await start({ providers: [Reads] });
  const { id } = await app.dataSource.manager.save(Effect, { what: 'is there' });
  await app.pubsub.notifyMany(EffectWritten, [id, id + 1]);
  await settled(EffectWritten);
  expect(app.app.get(Reads).found).toEqual(['is there']);
  expect(await deadLetters(EffectWritten)).toEqual([]);
});
