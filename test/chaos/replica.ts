import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { RunningServer } from '@gatehouse/server';

type Config = RunningServer['config'];

/** A server process on data that outlives it. */
export interface Replica {
  readonly config: Config;
  readonly pid: number;
  /** Resolves when it listens; rejects when it ends before. */
  start(): Promise<void>;
  /** Starts it and ends it by SIGKILL after so many milliseconds, ready or not. */
  startAndKill(afterMs: number): Promise<void>;
  /** SIGKILL to the whole process group. Resolves when it is gone. */
  kill(): Promise<void>;
  signal(name: 'SIGSTOP' | 'SIGCONT'): void;
  /** Sets its clock, by so many milliseconds. */
  setClock(offsetMs: number): Promise<void>;
  /** As an operator stops it. */
  stop(): Promise<void>;
}

/** `before`: a command that ends by becoming the rest of its arguments, such as one that first mounts a file system. */
export function createReplica(config: Config, before: string[] = []): Replica {
  let child: ChildProcess | undefined;

  function launch(): ChildProcess {
    const [command = '', ...args] = [
      ...before,
      ...[process.execPath, '--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'server.ts')],
      JSON.stringify(config),
    ];
    child = spawn(command, args, { detached: true, stdio: ['pipe', 'pipe', 'inherit'] });
    return child;
  }

  async function end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const process = child;
    if (!process?.pid || process.exitCode !== null || process.signalCode !== null) return;
    const exited = once(process, 'exit');
    if (signal === 'SIGKILL') globalThis.process.kill(-process.pid, signal);
    else process.kill(signal);
    await exited;
  }

  return {
    config,
    get pid() {
      return child?.pid ?? 0;
    },
    async start() {
      const started = launch();
      const gone = once(started, 'exit').then(([code, signal]) => {
        throw new Error(`the server ended with ${code ?? signal} before it was ready`);
      });
      await Promise.race([once(started.stdout as NodeJS.ReadableStream, 'data'), gone]);
      gone.catch(() => undefined);
    },
    async startAndKill(afterMs) {
      launch();
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      await end('SIGKILL');
    },
    kill: () => end('SIGKILL'),
    signal(name) {
      if (child?.pid) process.kill(child.pid, name);
    },
    async setClock(offsetMs) {
      child?.stdin?.write(`${offsetMs}\n`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    },
    stop: () => end('SIGTERM'),
  };
}
