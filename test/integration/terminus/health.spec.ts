import { Controller, Get, Query, type INestApplication } from '@nestjs/common';
import { HealthCheck, HealthCheckService, TerminusModule } from '@nestjs/terminus';
import { InjectPubSub, PgPubSubModule, PubSubService } from 'nestjs-pgpubsub';
import { PgPubSubHealthIndicator, type PgPubSubHealthOptions } from 'nestjs-pgpubsub/terminus';
import { describe, expect, it } from 'vitest';
import { TestApp, type TestAppOptions } from '../../support/app.js';
import { TestDatabase } from '../../support/database.js';
import { collector } from '../../support/listeners.js';
import { TcpProxy } from '../../support/tcp-proxy.js';
import { useStored } from '../../support/stored.js';

const { start, database, query } = useStored();

@Controller('health')
class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly pubsub: PgPubSubHealthIndicator,
  ) {}

  @Get()
  @HealthCheck()
  check(@Query() options: PgPubSubHealthOptions) {
    return this.health.check([() => this.pubsub.check('pubsub', options)]);
  }
}

const HEALTH = {
  imports: [TerminusModule],
  controllers: [HealthController],
  providers: [PgPubSubHealthIndicator, collector('orders').provider],
} satisfies Partial<TestAppOptions>;

/** The response to a health probe. */
async function probe(app: TestApp, search = ''): Promise<{ status: number; body: unknown }> {
  const server = app.app as INestApplication;
  await server.listen(0, '127.0.0.1');
  const response = await fetch(`${await server.getUrl()}/health${search}`);
  return { status: response.status, body: await response.json() };
}

const bury = () =>
  query(
    `insert into pgpubsub_dead_letter (id, channel, listener, created_at) values (1, 'mails', 'x', now())`,
  );

describe('the indicator for @nestjs/terminus', () => {
  it('is up, with the details of status()', async () => {
    await using app = await start(HEALTH);

    await expect(probe(app)).resolves.toMatchObject({
      status: 200,
      body: {
        status: 'ok',
        info: {
          pubsub: {
            status: 'up',
            health: 'up',
            reasons: [],
            connection: { state: 'listening', channels: ['orders'] },
            channels: [],
          },
        },
      },
    });
  });

  it('is down when the database is unavailable', async () => {
    const proxy = await TcpProxy.start(database.url);
    await using app = await start({ ...HEALTH, url: proxy.url });
    await proxy[Symbol.asyncDispose]();

    await expect(probe(app)).resolves.toMatchObject({
      status: 503,
      body: {
        status: 'error',
        error: {
          pubsub: {
            status: 'down',
            reasons: expect.arrayContaining([expect.stringContaining('does not answer')]) as unknown,
          },
        },
      },
    });
  });

  it('is degraded with the reason when the connection is deaf', async () => {
    await using other = await TestDatabase.create();
    await using app = await start({
      ...HEALTH,
      options: { heartbeat: { intervalMs: 60_000, timeoutMs: 3_000 }, connection: other.url },
    });

    await expect(probe(app)).resolves.toMatchObject({
      status: 200,
      body: {
        status: 'degraded',
        details: {
          pubsub: { status: 'degraded', health: 'degraded', reasons: [expect.stringContaining('deaf')] },
        },
      },
    });
  });

  it.each([
    ['', 200, 'degraded'],
    ['?failOn=degraded', 503, 'down'],
  ])('is degraded by dead letters, and fails when `failOn` says so (%s)', async (search, code, status) => {
    await using app = await start(HEALTH);
    await bury();

    await expect(probe(app, search)).resolves.toMatchObject({
      status: code,
      body: {
        details: { pubsub: { status, health: 'degraded', reasons: ['1 dead letter: 1 of "mails"'] } },
      },
    });
    await app.pubsub.stored.discard({});
  });

  it('needs the instance when its module has another name', async () => {
    @Controller('health')
    class NamedController {
      constructor(
        private readonly indicator: PgPubSubHealthIndicator,
        @InjectPubSub('reporting') private readonly reporting: PubSubService,
      ) {}

      @Get()
      async check() {
        const refusal: unknown = await this.indicator.check('pubsub').catch((error: unknown) => error);
        return { ...(await this.indicator.check('reporting', { instance: this.reporting })), refusal };
      }
    }
    await using app = await TestApp.start({
      url: database.url,
      imports: [TerminusModule],
      controllers: [NamedController],
      providers: [PgPubSubHealthIndicator],
      module: PgPubSubModule.forRoot({ name: 'reporting' }),
    });

    await expect(probe(app)).resolves.toMatchObject({
      body: { reporting: { status: 'up' }, refusal: { code: 'UNKNOWN_INSTANCE' } },
    });
  });

  it('rejects another value of `failOn`', async () => {
    await using app = await start(HEALTH);

    await expect(
      app.app.get(PgPubSubHealthIndicator).check('pubsub', { failOn: 'up' as 'down' }),
    ).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it.each<[string, object, string]>([
    [
      'the former name of "instance"',
      { pubsub: {} },
      'expected the option "instance" of PgPubSubHealthIndicator.check() by its current name, got its former name "pubsub". Rename it to "instance".',
    ],
    [
      'an instance that is not a PubSubService',
      { instance: 'reporting' },
      'expected the option "instance" of PgPubSubHealthIndicator.check() to be an instance, as @InjectPubSub(name) gives it, got "reporting". Correct it, or leave it out.',
    ],
  ])('rejects %s', async (_, options, message) => {
    const indicator = new PgPubSubHealthIndicator({} as never, {} as never);

    await expect(indicator.check('pubsub', options)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message,
    });
  });

  it('is up in terminus 11, which has no state between up and down', async () => {
    await using app = await start(HEALTH);
    await bury();
    const terminus11 = {
      check: (key: string) => ({ up: (details: object) => ({ [key]: { ...details, status: 'up' } }) }),
    };

    const indicator = new PgPubSubHealthIndicator(terminus11 as never, app.pubsub);

    await expect(indicator.check('pubsub')).resolves.toMatchObject({
      pubsub: { status: 'up', health: 'degraded', reasons: [expect.anything()] },
    });
    await app.pubsub.stored.discard({});
  });
});
