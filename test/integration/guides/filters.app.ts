import { Catch, Injectable, UseFilters, type ExceptionFilter } from '@nestjs/common';
import { ACKNOWLEDGED, Listener, defineChannel, type Notification } from 'nestjs-pgpubsub';
import { EntityNotFoundError } from 'typeorm';
import { Effect } from '../../support/stored.js';

/** The exception filter of docs/nest.md. */

export const EffectWritten = defineChannel<number>('effect_written', { delivery: 'exactly-once' });

@Catch(EntityNotFoundError)
export class IgnoresDeletedRows implements ExceptionFilter {
  catch() {
    return ACKNOWLEDGED; // the row is gone: nothing is left to do
  }
}

@Injectable()
export class Reads {
  readonly found: string[] = [];

  @UseFilters(IgnoresDeletedRows)
  @Listener(EffectWritten)
  async read(id: number, { manager }: Notification): Promise<void> {
    this.found.push((await manager.findOneByOrFail(Effect, { id })).what);
  }
}
