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
  'Broadcasts reach no listener; stored notifications are found only by polling, up to seconds late.';

/** Opens a LISTEN connection, and sends itself a notification through the DataSource's pool. */
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
    `A notification sent through the DataSource's pool arrived after ${Math.ceil(performance.now() - sentAt)} ms.`,
  );
}

const unreachable = (error: unknown): CheckResult =>
  bad(
    `The LISTEN connection could not be opened, or was lost: ${messageOf(error)}`,
    'No listener can start.',
    'Correct the address, or pass the address in the option "connection" of the module as --listen-url.',
  );

const refused = (error: unknown): CheckResult =>
  bad(
    `The server rejected LISTEN: ${messageOf(error)}`,
    DEAF,
    'Connect to the primary; a standby does not deliver notifications.',
  );

const deaf = (fault: string): CheckResult =>
  bad(
    `A notification sent through the DataSource's pool did not arrive: ${fault}`,
    DEAF,
    'Set the option "connection" of the module to a URL that leads directly to the primary, without a pooler; test the URL with --listen-url.',
  );
