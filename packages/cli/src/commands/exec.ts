import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { pipeline } from 'node:stream/promises';
import { createGate, type Gate } from '../bridge/gate.ts';
import { credentialsFor } from '../exec/credentials.ts';
import { environmentWithoutProof } from '../exec/environment.ts';
import { startExecProxy } from '../exec/proxy.ts';
import { createRedactor } from '../exec/redact.ts';
import { CliFailure } from '../failure.ts';
import { clean } from '../output.ts';
import { credentialOf, readTaskOptions, type TaskOptions } from '../task-options.ts';
import type { Run } from '../verb.ts';

interface Options extends TaskOptions {
  /** `--no-redact`. */
  redact: boolean;
  passEnv?: string[];
  provider?: string[];
  env?: string[];
}

/** Nobody waits longer for the end of a task than this. */
const END_TIMEOUT_MS = 3_000;
/** As shells say it of a command that is not there, or cannot be run. */
const NOT_FOUND = 127;
const NOT_EXECUTABLE = 126;
const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2', 'SIGCONT', 'SIGWINCH'] as const;

export const exec: Run<Options> = async ({ args: [command, ...args], options, out }) => {
  if (command === undefined)
    throw new CliFailure('usage', 'exec.command', 'What is to be run stands after --: gatehouse exec … -- CMD ARGS.');
  const setup = readTaskOptions(options, `gatehouse exec: ${command}`.slice(0, 200));
  const others = environmentWithoutProof(process.env, setup.identity, options.passEnv ?? []);
  const note = (text: string) => out.note(`gatehouse exec: ${clean(text)}`);
  let isRunning = false;
  // A refusal of the first task ends this verb, which says why itself.
  const noteUnlessFailed = (text: string) => (isRunning || !gate.hasFailed) && note(text);
  const gate = createGate({ ...setup, credential: await credentialOf(setup), note: noteUnlessFailed });
  // Before the command: one that gets no task is not run at all.
  const task = await gate.task();
  isRunning = true;
  const given = await credentialsFor(gate, options, note).catch(async (error: unknown) => {
    await end(gate, note);
    throw error;
  });
  const proxy = await startExecProxy(gate, note);
  const env = {
    ...others,
    ...given.env,
    GATEHOUSE_URL: setup.url,
    GATEHOUSE_MCP_URL: proxy.mcpUrl,
    GATEHOUSE_TASK: task.id,
  };
  const secrets = () => [proxy.secret, ...given.secrets, ...gate.tokens()];
  let code = 1;
  try {
    code = await run(command, args, env, options.redact ? secrets : undefined, note);
  } finally {
    proxy.close();
    await end(gate, note);
  }
  // Connections that are kept for the next request would keep the process for seconds.
  process.stdout.write('', () => process.exit(code));
};

async function run(
  command: string,
  args: string[],
  env: Record<string, string>,
  secrets: (() => string[]) | undefined,
  note: (text: string) => void,
): Promise<number> {
  const output = secrets ? 'pipe' : 'inherit';
  const child = spawn(command, args, { env, stdio: ['inherit', output, output], shell: false });
  const forward = (signal: NodeJS.Signals) => {
    // From a terminal it has reached the whole group already.
    if ((signal === 'SIGINT' || signal === 'SIGQUIT') && process.stdin.isTTY) return;
    child.kill(signal);
  };
  for (const signal of FORWARDED) process.on(signal, forward);
  try {
    const ended = endOf(child);
    // Looked at below; until then a command that is not there must not count as a failure that nobody handles.
    ended.catch(() => undefined);
    if (secrets && child.stdout && child.stderr) {
      // A reader that has gone (`| head`) is the command's to notice.
      const pass = (from: NodeJS.ReadableStream, to: NodeJS.WritableStream) =>
        pipeline(from, createRedactor(secrets), to, { end: false }).catch(() => undefined);
      await Promise.all([pass(child.stdout, process.stdout), pass(child.stderr, process.stderr)]);
    }
    return await ended;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'EACCES') throw error;
    note(code === 'ENOENT' ? `there is no command ${command}` : `${command} cannot be run`);
    return code === 'ENOENT' ? NOT_FOUND : NOT_EXECUTABLE;
  } finally {
    for (const signal of FORWARDED) process.off(signal, forward);
  }
}

function endOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)));
  });
}

async function end(gate: Gate, note: (text: string) => void): Promise<void> {
  await Promise.race([
    gate
      .end()
      .catch((error: unknown) => note(`the task was not ended: ${error instanceof Error ? error.message : error}`)),
    new Promise((done) => setTimeout(done, END_TIMEOUT_MS)),
  ]);
}
