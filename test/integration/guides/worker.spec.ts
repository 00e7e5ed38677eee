import { describe, expect, it } from 'vitest';
import type { TestApp } from '../../support/app.js';
import { eventually } from '../../support/mailbox.js';
import { useDatabase } from '../../support/use-database.js';
import { Report, ReportWriter, Reports } from './worker.app.js';

const database = useDatabase({ per: 'test' });

const start = (): Promise<TestApp> =>
  database.start({
    dataSource: { entities: [Report], synchronize: true },
    providers: [Reports, ReportWriter],
  });

const written = async (count: number): Promise<boolean> =>
  (await database.query('select from report where text is not null')).length === count;

describe('the worker of docs/guides/waking-a-worker.md', () => {
  it('writes the ordered reports, together with other processes', async () => {
    await using one = await start();
    await using _two = await start();
    const months = Array.from({ length: 20 }, (_, index) => `month ${index}`);
    await Promise.all(months.map((month) => one.app.get(Reports).order(month)));
    await eventually(() => written(20), 'all are written');
  });

  it('checks for reports after a gap', async () => {
    await using _app = await start();
    await database.query(`insert into report (month) values ('May')`); // without a notification
    await expect(written(0)).resolves.toBe(true);
    await database.terminateListeners();
    await eventually(() => written(1), 'it has looked');
  });
});
