import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Author } from '../authors/author.entity.js';
import type { Role } from '../settings.js';
import { Handling } from './handling.entity.js';
import { endSessions, findSessions } from './listen-sessions.sql.js';

/** A process of the newsroom, and what it has handled. */
export interface NewsroomProcess {
  readonly name: string;
  /** `null`: it has ended, or its LISTEN connection is down. */
  readonly role: Role | null;
  /** How many stored notifications, by channel. */
  readonly handled: Readonly<Record<string, number>>;
}

const SHOWN = 10;
/** How many authors come in while nobody listens. */
const UNHEARD = 10;

@Injectable()
export class ProcessesService {
  constructor(private readonly dataSource: DataSource) {}

  /** Those that listen, and the last that have handled something. */
  async all(): Promise<NewsroomProcess[]> {
    const [sessions, counts] = await Promise.all([this.sessions(), this.counts()]);
    const names = new Set([...sessions.keys(), ...counts.map(({ process }) => process)]);
    return Array.from([...names].slice(0, SHOWN).toSorted(), (name) => ({
      name,
      role: sessions.get(name) ?? null,
      handled: Object.fromEntries(
        counts.filter(({ process }) => process === name).map(({ channel, count }) => [channel, count]),
      ),
    }));
  }

  /** Ends all LISTEN connections, and inserts authors at once: broadcasts of them may be missed, what is stored is not. */
  async interrupt(): Promise<{ ended: number; inserted: number }> {
    const ended = await this.dataSource.query<unknown[]>(endSessions);
    const authors = Array.from({ length: UNHEARD }, (_, index) => ({ name: `Unheard ${index + 1}` }));
    await this.dataSource.manager.insert(Author, authors);
    return { ended: ended.length, inserted: UNHEARD };
  }

  private async sessions(): Promise<Map<string, Role>> {
    const rows = await this.dataSource.query<{ name: string }[]>(findSessions);
    return new Map(rows.map(({ name }) => parseSession(name)));
  }

  private counts(): Promise<{ process: string; channel: string; count: number }[]> {
    return this.dataSource.manager
      .createQueryBuilder(Handling, 'handling')
      .select(['process', 'channel', 'count(*)::int as count'])
      .groupBy('process, channel')
      .orderBy('max(id)', 'DESC')
      .getRawMany();
  }
}

/** `newsroom web Cairo-4711:listen`, as `data-source.ts` names it. */
function parseSession(applicationName: string): [name: string, role: Role] {
  const [, role = 'all', name = applicationName] =
    /^newsroom (\S+) (\S+):listen$/.exec(applicationName) ?? [];
  return [name, role as Role]; // written by our own settings
}
