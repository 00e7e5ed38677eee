import type { Storage } from './storage.js';
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
  {
    number: 1,
    servesFrom: 1,
    up: v1.up,
    down: v1.down,
    objects: {
      'table pgpubsub_channel': 'e7bf10b216b3cb469ca5682c817c9a40',
      'table pgpubsub_dead_letter': '5c947629ee96bb04a60e55d8d6b72e5c',
      'table pgpubsub_notification': '4d0c94a3724022e8ad92d36d7a0ceca6',
      'table pgpubsub_process': 'b38c5ba4d0636e79461791ba511f1527',
      'index pgpubsub_dead_letter_channel_time': 'c0f3997cf721d22d62cf5834f446e805',
      'index pgpubsub_dead_letter_time': '98b53a03b1c731c675a2dc3c19c85b1d',
      'index pgpubsub_notification_claim': '15f03a50ae71cc751a65387351b5bcbe',
      'index pgpubsub_notification_key': '2d9e04a87189c758c7259f86bdcaa812',
      'function pgpubsub_broadcast': 'c43e0d819ac1b332ec1500333aa707ad',
      'function pgpubsub_complete': '43627f7bef20eac93aefbe6fcb03a1f5',
      'function pgpubsub_key': 'cc1a37e5c17a55ce2ae9d4b6565cc86b',
      'function pgpubsub_notify': '2c77f30ca3691d427a54d2e179c8602e',
      'function pgpubsub_schema_version': '7a8c7a2c5bf7843a6cba8bff950c896c',
      'function pgpubsub_store': 'bb0f8e0c1b52b02604bb1af1b75f1419',
    },
  },
];

export const newestVersion = (): StorageVersion => VERSIONS.at(-1) as StorageVersion; // there is always one

const COMMENT = /^pgpubsub:(?<owner>.+):v(?<number>\d+) from v(?<servesFrom>\d+)$/s;

/** What the comment on the table of stored notifications says. */
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
