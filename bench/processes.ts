import { type ChildProcess, fork, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { LoadRequest, LoadResult } from './load.ts';

const here = import.meta.dirname;
const options = { execArgv: ['--disable-warning=ExperimentalWarning'] };

export interface Target {
  child: ChildProcess;
  /** The first line that it printed: its address, or JSON. */
  line: string;
  stop(): Promise<void>;
}

/** Starts one of bench/targets as a process of its own. */
export async function startTarget(
  name: string,
  args: string[] = [],
  env: Record<string, string> = {},
): Promise<Target> {
  const child = fork(join(here, 'targets', `${name}.ts`), args, {
    ...options,
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    env: { ...process.env, ...env },
  });
  const line = await firstLine(child);
  return { child, line, stop: () => stop(child) };
}

/** Starts a peer from npm and waits until its port answers. */
export async function startPeer(script: string, args: string[], url: string): Promise<Target> {
  const child = spawn(process.execPath, [script, ...args], { stdio: 'ignore' });
  for (let turn = 0; turn < 200; turn++) {
    const answer = await fetch(url, { method: 'POST', body: '{}' }).catch(() => undefined);
    if (answer) return { child, line: url, stop: () => stop(child) };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await stop(child);
  throw new Error(`${script} does not answer at ${url}`);
}

/** Memory, and CPU time of all threads so far; clock ticks are 10 ms on every Linux that matters here. */
export function usageOf({ pid }: Pick<ChildProcess, 'pid'>): { cpuMs: number; residentBytes: number } {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  const resident = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return { cpuMs: (Number(fields[11]) + Number(fields[12])) * 10, residentBytes: Number(resident ?? 0) * 1024 };
}

export async function runLoad(request: LoadRequest): Promise<LoadResult> {
  const child = fork(join(here, 'load.ts'), [], options);
  const answer = await new Promise<{ result?: LoadResult; error?: string }>((resolve, reject) => {
    child.once('message', (message) => resolve(message as { result?: LoadResult; error?: string }));
    child.once('exit', (code) => reject(new Error(`the load process ended with ${code}`)));
    child.send(request);
  });
  child.removeAllListeners('exit');
  child.kill();
  if (!answer.result) throw new Error(answer.error ?? 'no result');
  return answer.result;
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    if (!child.stdout) throw new Error('no standard output');
    createInterface({ input: child.stdout }).once('line', resolve);
    child.once('exit', (code) => reject(new Error(`the target ended with ${code} before it was ready`)));
  });
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const force = setTimeout(() => child.kill('SIGKILL'), 3_000);
  await ended;
  clearTimeout(force);
}
