import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from './free-port.ts';

/** A foreign server on a loopback port, for as long as this process lives. */
export type ForeignServer = { url: string; close(): Promise<void> };

const START_TIMEOUT_MS = 60_000;

/** Starts `program` and waits until `path` answers, whatever it answers. Where the start fails, its own last words are in the error. */
export async function startForeignServer(
  program: string,
  args: (port: number) => string[],
  { path, env = {} }: { path: string; env?: Record<string, string> },
): Promise<ForeignServer> {
  const port = await freePort();
  const child = spawn(program, args(port), {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
  });
  let words = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      words = (words + chunk).slice(-2_000);
    });
  const end = () => child.kill('SIGKILL');
  process.once('exit', end);
  const url = `http://127.0.0.1:${port}`;
  for (const until = Date.now() + START_TIMEOUT_MS; Date.now() < until && isRunning(child); await delay(50)) {
    const answer = await fetch(url + path).catch(() => undefined);
    if (!answer) continue;
    await answer.body?.cancel();
    return {
      url,
      async close() {
        process.off('exit', end);
        if (!isRunning(child)) return;
        const ended = once(child, 'exit');
        end();
        await ended;
      },
    };
  }
  end();
  throw new Error(`${program} does not start: ${words}`);
}

const isRunning = ({ exitCode, signalCode }: ChildProcess) => exitCode === null && signalCode === null;
