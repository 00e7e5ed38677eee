import type { Storage } from './storage.sql.js';
import * as v1 from './v1.sql.js';

/** The place of a storage, and the server version that its SQL depends on. */
export interface StoragePlace {
  readonly storage: Storage;
  /** In the form of `server_version_num`: 180004. */
  readonly serverVersion: number;
}

/** A version of the tables and functions. Each version changes those of the version before it. */
export interface StorageVersion {
  readonly number: number;
  /** The oldest version whose library works with this one. */
  readonly servesFrom: number;
  readonly up: (place: StoragePlace) => readonly string[];
  /** The statements that undo `up`, in the order in which they run. */
  readonly down: (place: StoragePlace) => readonly string[];
  /** Hashes of its objects by kind and name, which reveal manual changes. */
  readonly objects: Readonly<Record<string, string>>;
}

/** All versions, oldest first. The last one is the library's own. */
export const VERSIONS: StorageVersion[] = [
  { number: 1, servesFrom: 1, up: v1.up, down: v1.down, objects: v1.objects },
];

export const newestVersion = (): StorageVersion => VERSIONS.at(-1) as StorageVersion; // there is always one

const COMMENT = /^pgpubsub:(?<owner>.+):v(?<number>\d+) from v(?<servesFrom>\d+)$/s;

/** Owner and version, as in the comment on the table of stored notifications. */
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
