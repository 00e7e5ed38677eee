import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Author } from '../authors/author.entity.js';
import type { Role } from '../settings.js';
import { Handling } from './handling.entity.js';
import { endSessions, findSessions } from './listen-sessions.sql.js';

/** A process of the newsroom and its work. */
export interface NewsroomProcess {
  readonly name: string;
  /** `null` when the process has ended or its LISTEN connection is down. */
  readonly role: Role | null;
  /** The number of stored notifications that it handled, by channel. */
  readonly handled: Readonly<Record<string, number>>;
}

const SHOWN = 10;
/** The number of authors that are inserted while no process listens. */
const INSERTED = 10;

@Injectable()
export class ProcessesService {
  constructor(private readonly dataSource: DataSource) {}

  /** Returns the processes that listen, and those that handled a notification last. */
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

  /**
   * Closes all LISTEN connections and inserts authors immediately. Broadcasts may be missed; stored
   * notifications are not.
   */
  async interrupt(): Promise<{ ended: number; inserted: number }> {
    const ended = await this.dataSource.query<unknown[]>(endSessions);
    const authors = Array.from({ length: INSERTED }, (_, index) => ({ name: `Offline ${index + 1}` }));
    await this.dataSource.manager.insert(Author, authors);
    return { ended: ended.length, inserted: INSERTED };
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

/** Parses an application name of `data-source.ts`, such as `newsroom web Cairo-4711:listen`. */
function parseSession(applicationName: string): [name: string, role: Role] {
  const [, role = 'all', name = applicationName] =
    /^newsroom (\S+) (\S+):listen$/.exec(applicationName) ?? [];
  return [name, role as Role]; // written by settings.ts
}
