import type { Storage } from './storage.sql.js';
import * as v1 from './v1.sql.js';

/** The place of a storage, and what its SQL depends on besides. */
export interface StoragePlace {
  readonly storage: Storage;
  /** As `server_version_num` has it: 180004. */
  readonly serverVersion: number;
}

/** A version of the tables and functions. A later one changes what the version before it left. */
export interface StorageVersion {
  readonly number: number;
  /** The oldest version whose library works with this one. */
  readonly servesFrom: number;
  readonly up: (place: StoragePlace) => readonly string[];
  /** The exact way back, in the order in which it runs. */
  readonly down: (place: StoragePlace) => readonly string[];
  /** The hashes of its objects, by kind and name, which find what was changed by hand. */
  readonly objects: Readonly<Record<string, string>>;
}

/** All versions, the oldest first. The last one is the library's own. */
export const VERSIONS: StorageVersion[] = [
  { number: 1, servesFrom: 1, up: v1.up, down: v1.down, objects: v1.objects },
];

export const newestVersion = (): StorageVersion => VERSIONS.at(-1) as StorageVersion; // there is always one

const COMMENT = /^pgpubsub:(?<owner>.+):v(?<number>\d+) from v(?<servesFrom>\d+)$/s;

/** Owner and version, as the comment on the table of stored notifications names them. */
export interface VersionMark {
  readonly owner: string;
  readonly number: number;
  readonly servesFrom: number;
}

export const markComment = ({ owner, number, servesFrom }: VersionMark): string =>
  `pgpubsub:${owner}:v${number} from v${servesFrom}`;

export function readMark(comment: string | null): VersionMark | undefined {
  const { owner, number, servesFrom } = COMMENT.exec(comment ?? '')?.groups ?? {};
  return owner === undefined ? undefined : { owner, number: Number(number), servesFrom: Number(servesFrom) };
}
