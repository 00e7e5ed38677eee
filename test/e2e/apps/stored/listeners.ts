import { setTimeout as delay } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { Listener, OnInsert, type EntityChange, type Notification } from 'nestjs-pgpubsub';
import { CrashSimulator } from './crash.js';
import { tell, type Settings } from './messages.js';
import { Author, Pairs, Polled, Post, Steps, Tasks, Ticks, type Step, type Task } from './storage.js';

export const settings = JSON.parse(process.env['SETTINGS'] ?? '{}') as Settings;
const crashSimulator = new CrashSimulator(settings.crash);

const pause = async (): Promise<void> => {
  if (settings.delayMs !== undefined) await delay(Math.random() * settings.delayMs);
};

const WRITE = 'insert into effect (listener, notification, what, process) values ($1, $2, $3, $4)';

async function write(listener: string, { id, manager }: Notification, what: object): Promise<void> {
  await manager.query(WRITE, [listener, id, JSON.stringify(what), settings.name]);
}

@Injectable()
export class AuthorListeners {
  @OnInsert(Author)
  async createFirstPost({ new: author }: EntityChange<Author>, { manager }: Notification): Promise<void> {
    if (author === null) throw new Error('expected an author');
    await pause();
    const content = 'Welcome! This is your first post';
    await manager.insert(Post, { authorId: author.id, content, process: settings.name });
    await crashSimulator.reached('after a write');
  }

  @OnInsert(Author)
  async greet({ new: author }: EntityChange<Author>, notification: Notification): Promise<void> {
    await write('greet', notification, author ?? {});
  }
}

let release: () => void = () => undefined;
export const releaseHandler = (): void => release();

@Injectable()
export class TaskListeners {
  @Listener(Tasks)
  @Listener(Polled)
  async work({ n, act, text }: Task, notification: Notification): Promise<void> {
    await write('work', notification, { n, ...(text !== undefined && { length: text.length }) });
    if (act === 'exit') process.exit(1);
    if (act === 'kill') process.kill(process.pid, 'SIGKILL');
    if (act !== 'wait') return;
    const released = new Promise<void>((resolve) => (release = resolve));
    tell({ type: 'waiting', n });
    await released;
  }
}

@Injectable()
export class PairListeners {
  @Listener(Pairs)
  async alwaysFail({ n }: Task, notification: Notification): Promise<void> {
    await write('alwaysFail', notification, { n });
    throw new Error(`there is no way with ${n}, the attempt was ${notification.attempt}`);
  }

  @Listener(Pairs)
  async neverFail({ n }: Task, notification: Notification): Promise<void> {
    await write('neverFail', notification, { n });
  }
}

/**
 * Writes an effect and takes a lock for its key until the claim commits: `alone` is false when
 * another claim handles the key at the same time.
 */
const WRITE_STEP = `insert into effect (listener, notification, what, process) values (
  'step', $1, json_build_object('key', $2::text, 'n', $3::int, 'alone', pg_try_advisory_xact_lock(1, hashtext($2))), $4
)`;

@Injectable()
export class StepListeners {
  @Listener(Steps)
  async step({ key, n }: Step, { id, manager, attempt }: Notification): Promise<void> {
    await manager.query(WRITE_STEP, [id, key, n, settings.name]);
    if (n % 25 === 7 && attempt === 1) throw new Error('the following notifications of the key have to wait');
  }
}

const TICKS_PER_REPORT = 2_500;

@Injectable()
export class TickListeners {
  private count = 0;

  @Listener(Ticks)
  tick(): void {
    if (++this.count % TICKS_PER_REPORT === 0)
      tell({ type: 'ticks', count: this.count, rss: process.memoryUsage.rss() });
  }
}

export const providers = [AuthorListeners, TaskListeners, PairListeners, StepListeners, TickListeners];
