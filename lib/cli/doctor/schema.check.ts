import type { DataSource } from 'typeorm';
import type { Difference } from '../../common/step.js';
import { toggleTrigger } from '../../triggers/trigger.sql.js';
import { Database } from '../../triggers/database.js';
import { remedyFor } from '../../triggers/schema.verifier.js';
import { briefly } from '../brief.js';
import { bad, good, warning, type Check, type Found } from './finding.js';
import { read, readOne } from './query.js';
import { readResets, readSilencers } from './schema.sql.js';

const MEANS: Record<Difference['kind'], string> = {
  missing: 'Changes of its table are not notified, or notifications cannot be stored.',
  drifted: 'It was changed by hand, or belongs to another release: it may send something else, or nothing.',
  disabled: 'Changes of its table notify nobody, and nobody is told.',
  obsolete: 'It notifies what nobody declares any more. It may be what another release still needs.',
};

/** Are the triggers and tables what the DataSource declares, and do the triggers fire? */
export const schemaCheck: Check = {
  name: 'triggers',
  async examine({ dataSource }) {
    const { differences, warnings } = await briefly(dataSource, (runner) =>
      Database.of(dataSource).diff({}, runner),
    );
    const found = [
      ...differences.map((difference) => differing(difference, dataSource)),
      ...warnings.map(doubtful),
      ...(await silenced(dataSource)),
    ];
    return found.length > 0 ? found : [good('Triggers and tables are as the DataSource declares them.')];
  },
};

const doubtful = (text: string): Found =>
  warning(
    text,
    'The triggers are as declared, but listeners miss changes, or receive them in another order or form than expected.',
    'See the end of each sentence above.',
  );

const differing = (difference: Difference, dataSource: DataSource): Found =>
  (difference.kind === 'obsolete' ? warning : bad)(
    `${difference.kind}: ${difference.object}`,
    MEANS[difference.kind],
    remedyOf(difference, dataSource),
  );

function remedyOf(difference: Difference, dataSource: DataSource): string {
  const { kind, object } = difference;
  const [, name, schema, table] = /^trigger (.+) on ([^.]+)\.(.+)$/.exec(object) ?? [];
  return kind === 'disabled' && name !== undefined && schema !== undefined && table !== undefined
    ? `${toggleTrigger(schema, table, name, 'O')};`
    : remedyFor(dataSource, [difference]);
}

async function silenced(dataSource: DataSource): Promise<Found[]> {
  const { disabled, replication_role: role } = await readOne<{
    disabled: boolean;
    replication_role: string;
  }>(dataSource, readSilencers);
  const silence = async (setting: string, name: string): Promise<Found> =>
    bad(
      `The sessions of the DataSource have ${setting}.`,
      'What they write fires no triggers.',
      await takeBack(dataSource, name),
    );
  return [
    ...(disabled ? [await silence('pgpubsub.disabled = on', 'pgpubsub.disabled')] : []),
    ...(role === 'replica'
      ? [await silence('session_replication_role = replica', 'session_replication_role')]
      : []),
  ];
}

async function takeBack(dataSource: DataSource, name: string): Promise<string> {
  const rows = await read<{ statement: string }>(dataSource, readResets, [name]);
  return rows.length > 0
    ? `Take it back where it is set, and connect anew: ${rows.map(({ statement }) => `${statement};`).join(' ')}`
    : `Neither the role nor the database sets it: remove ${name} from the DataSource's options and URL, PGOPTIONS, or the server's configuration.`;
}
