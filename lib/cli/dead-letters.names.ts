import type { DataSource } from 'typeorm';
import { Database } from '../triggers/database.js';
import { readNames } from './dead-letters.sql.js';

/** The values of `--channel` and `--listener`. */
export interface ChosenNames {
  readonly channel?: readonly string[];
  readonly listener?: string;
}

interface Names {
  readonly channel: string;
  readonly listener: string;
}

const SHOWN = 20;

/** Describes a name without letters. Reads the letters: a DataSource does not know all names. */
export async function findUnknownName(
  dataSource: DataSource,
  { channel: channels, listener }: ChosenNames,
): Promise<string | undefined> {
  if (channels === undefined && listener === undefined) return undefined;
  // no deadline: a command, which a person runs and ends
  const names = await dataSource.query<Names[]>(readNames(Database.of(dataSource).storage.schema)); // as the statement says
  const ofChannels = names.filter(({ channel }) => channels?.includes(channel) ?? true);
  if (channels !== undefined && ofChannels.length === 0)
    return `expected --channel to name a channel that has dead letters (${listOf(names, 'channel')}), got ${quoted(channels)}`;
  if (listener === undefined || ofChannels.some((name) => name.listener === listener)) return undefined;
  const where = channels === undefined ? '' : ' there';
  return `expected --listener to name a listener that has dead letters${where} (${listOf(ofChannels, 'listener')}), got "${listener}"`;
}

function listOf(names: readonly Names[], what: keyof Names): string {
  const all = [...new Set(names.map((name) => name[what]))].toSorted();
  if (all.length === 0) return 'there are none';
  return all.length > SHOWN ? `${all.slice(0, SHOWN).join(', ')}, …` : all.join(', ');
}

const quoted = (names: readonly string[]): string => names.map((name) => `"${name}"`).join(', ');
