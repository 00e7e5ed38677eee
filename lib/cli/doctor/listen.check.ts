import type { DataSource } from 'typeorm';
import { messageOf } from '../../common/errors.js';
import { HEARTBEAT_DEFAULTS } from '../../common/options.js';
import type { SqlExecutor } from '../../common/sql-executor.js';
import { assertUsable, resolveListenConfig } from '../../connection/listen-config.js';
import { ListenClient } from '../../connection/listen-client.js';
import { SelfTest } from '../../connection/self-test.js';
import { withLockTimeout } from '../lock-timeout.js';
import { bad, good, type DoctorCheck, type CheckResult, type DoctorInput } from './doctor-check.js';

const { timeoutMs } = HEARTBEAT_DEFAULTS;

const DEAF =
  'No listener of broadcasts hears anything; stored notifications are found only by polling, up to seconds late.';

/** Does what an application does: opens the LISTEN connection, sends through the DataSource's pool, and waits for it. */
export const listenCheck: DoctorCheck = {
  name: 'listen',
  async run(input) {
    const selfTest = new SelfTest(() => poolOf(input.dataSource), timeoutMs);
    try {
      const client = await open(input, selfTest);
      try {
        return [await listen(client, selfTest)];
      } finally {
        await client.close();
      }
    } catch (error) {
      return [unreachable(error)];
    }
  },
};

const poolOf = (dataSource: DataSource): SqlExecutor => ({
  // no deadline: a command, which a person runs and ends
  query: (sql, parameters) => withLockTimeout(dataSource, (runner) => runner.query(sql, parameters)),
});

const open = ({ dataSource, listenUrl }: DoctorInput, selfTest: SelfTest): Promise<ListenClient> =>
  ListenClient.open({
    config: resolveListenConfig(assertUsable(dataSource), listenUrl),
    heartbeatMs: undefined,
    timeoutMs,
    receive: ({ text }) => selfTest.receive(text),
    signal: new AbortController().signal,
  });

async function listen(client: ListenClient, selfTest: SelfTest): Promise<CheckResult> {
  try {
    await client.changeListens([selfTest.channel]);
  } catch (error) {
    return refused(error);
  }
  const sentAt = performance.now();
  const fault = await selfTest.findFault(client);
  if (fault !== undefined) return deaf(fault);
  if (client.isOver) return unreachable(await client.ended);
  return good(
    `What is sent through the DataSource's pool arrives, after ${Math.ceil(performance.now() - sentAt)} ms.`,
  );
}

const unreachable = (error: unknown): CheckResult =>
  bad(
    `The LISTEN connection could not be opened, or was lost: ${messageOf(error)}`,
    'No listener can start.',
    'Correct the address, or give the one that the option "connection" of the module has as --listen-url.',
  );

const refused = (error: unknown): CheckResult =>
  bad(
    `The server refused to LISTEN: ${messageOf(error)}`,
    DEAF,
    'Connect to the primary; a standby passes no notifications on.',
  );

const deaf = (fault: string): CheckResult =>
  bad(
    `What is sent through the DataSource's pool does not arrive: ${fault}`,
    DEAF,
    'Give the module a URL that leads to the primary itself, past every pooler, as the option "connection"; --listen-url tries one here.',
  );
