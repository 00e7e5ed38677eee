import { AsyncLocalStorage } from 'node:async_hooks';
import net from 'node:net';
import { filter, firstValueFrom } from 'rxjs';
import { DataSource } from 'typeorm';
import { expect, it } from 'vitest';
import { TestApp } from '../../support/app.js';
import { Mailbox } from '../../support/mailbox.js';
import { useListening } from '../../support/listening.js';

const { database, startListening } = useListening();

it('the start fails with the reason when the first LISTEN connection fails', async () => {
  const url = new URL(database.url);
  url.port = '1';
  const refused = startListening({ connection: url.href });
  await expect(refused).rejects.toMatchObject({ code: 'CONNECT_FAILED' });
  await expect(refused).rejects.toThrow(
    /expected the LISTEN connection to open, got: .*ECONNREFUSED.* The address comes from the option "connection"/,
  );
});

it('the error of a failed first connection mentions the settings of the DataSource when no option is set', async () => {
  const url = new URL(database.url);
  url.port = '1';
  const misled = {
    // after its pool has opened
    provide: 'misled',
    inject: [DataSource],
    useFactory: (dataSource: DataSource) => void dataSource.setOptions({ url: url.href }),
  };
  const refused = database.start({ providers: [misled] });
  await expect(refused).rejects.toThrow(/The address comes from the DataSource:/);
});

it('a LISTEN connection uses the settings of the DataSource, and is named after the application', async () => {
  const { hostname, port, username } = new URL(database.url);
  const server = { host: hostname, port: Number(port), username, database: database.name };
  await using app = await TestApp.start({
    dataSource: {
      replication: { master: server, slaves: [{ ...server, applicationName: 'standby' }] },
      applicationName: 'newsroom',
      extra: { max: 3, statement_timeout: 5_000 },
    },
  });
  const sql = 'select application_name as name from pg_stat_activity where datname = $1';
  const names = await database.query<{ name: string }>(sql, [database.name]);
  expect(names.map(({ name }) => name)).toContain('newsroom:listen');
  expect(app.pubsub).toBeDefined();
});

it('the start fails within the connection timeout when the server accepts and stays silent', async () => {
  const server = net.createServer(() => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  const silent = startListening({ connection: { host: '127.0.0.1', port, connectionTimeoutMillis: 200 } });
  await expect(silent).rejects.toMatchObject({ code: 'CONNECT_FAILED' });
  await expect(silent).rejects.toThrow(/timeout/i);
  server.close();
});

it('a LISTEN connection opens outside of the context of the request that is the first to observe', async () => {
  const requests = new AsyncLocalStorage<string>();
  const seen = new Mailbox<string | undefined>();
  await using app = await database.start({ options: { listen: false } });
  requests.run('request', () => app.pubsub.observe('lazily').subscribe(() => seen.push(requests.getStore())));
  await firstValueFrom(app.pubsub.connection$.pipe(filter((state) => state === 'listening')));
  await app.pubsub.notify('lazily', 1);
  await seen.next();
  expect(seen.all).toEqual([undefined]);
});
