import { once } from 'node:events';
import { runBridge } from '../bridge/bridge.ts';
import { createGate } from '../bridge/gate.ts';
import { exitCodes } from '../exit-codes.ts';
import { CliFailure } from '../failure.ts';
import { clean } from '../output.ts';
import { credentialOf, readTaskOptions, type TaskOptions } from '../task-options.ts';
import type { Run } from '../verb.ts';

/** A client that has gone does not wait for the task to be ended. */
const END_TIMEOUT_MS = 1_500;

export const mcp: Run<TaskOptions & { server?: string }> = async ({ options, out }) => {
  const setup = readTaskOptions(options, 'An MCP client, connected by gatehouse mcp');
  const server = options.server ?? process.env.GATEHOUSE_SERVER;
  if (server !== undefined && !/^[a-z][a-z0-9-]{0,63}$/.test(server))
    throw new CliFailure('usage', 'option.invalid', `--server is the name of a tool server, not "${server}".`);
  const credential = await credentialOf(setup);
  const note = (text: string) => out.note(`gatehouse mcp: ${clean(text)}`);
  const gate = createGate({ ...setup, credential, note, ...(server !== undefined && { server }) });
  const stop = new AbortController();
  const interrupt = () => {
    stop.abort();
    process.stdin.destroy();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, interrupt);
  process.stdin.on('error', interrupt);
  const write = async (line: string) => {
    if (!process.stdout.write(`${line}\n`)) await once(process.stdout, 'drain');
  };
  try {
    await runBridge({ input: process.stdin, write, gate, note, signal: stop.signal });
  } catch (error) {
    // A destroyed input is how a signal ends the wait for the next line.
    if (!stop.signal.aborted) throw error;
  }
  await Promise.race([
    gate
      .end()
      .catch((error: unknown) => note(`the task was not ended: ${error instanceof Error ? error.message : error}`)),
    new Promise((done) => setTimeout(done, END_TIMEOUT_MS)),
  ]);
  // Connections that are kept for the next request would keep the process for seconds.
  process.stdout.write('', () => process.exit(gate.hasFailed ? exitCodes.unavailable : exitCodes.ok));
};
