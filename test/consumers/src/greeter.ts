import { Injectable } from '@nestjs/common';
import { Listener, PubSubService, type Notification } from 'nestjs-pgpubsub';
import { DataSource } from 'typeorm';
import { report, type Greeting } from './greeting.js';

@Injectable()
export class Greeter {
  constructor(
    private readonly pubsub: PubSubService,
    private readonly dataSource: DataSource,
  ) {}

  @Listener('greetings')
  receive({ from, way }: Greeting, { context }: Notification<Greeting>): void {
    report({ type: 'handled', from, way, sender: context['process'] });
  }

  /** The order matters: after the last greeting, the one that is rolled back would have arrived. */
  async greet(from: string): Promise<void> {
    await this.greetAndRollBack({ from, way: 'rolled back' });
    await this.dataSource.transaction(async (manager) => {
      await this.pubsub.notify('greetings', { from, way: 'transaction' }, { manager });
    });
    await this.pubsub.notify('greetings', { from, way: 'pool' });
  }

  private async greetAndRollBack(greeting: Greeting): Promise<void> {
    const queryRunner = this.dataSource.createQueryRunner();
    try {
      await queryRunner.startTransaction();
      await this.pubsub.notify('greetings', greeting, { manager: queryRunner });
      await queryRunner.rollbackTransaction();
    } finally {
      await queryRunner.release();
    }
  }
}
