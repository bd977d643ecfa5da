import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import type { Log } from '../../../platform/index.ts';
import type { UpstreamLimits } from '../limits.ts';
import { removeCredentialFile, writeCredentialFile } from './credential-files.ts';
import type { Launch } from './launch.ts';
import { createLineReader } from './lines.ts';

export interface ServerProcess {
  /** False when the server no longer reads. */
  write(line: string): boolean;
  /** Closes its input, waits, then SIGTERM, then SIGKILL, each to the whole process group. Resolves when it is gone. */
  stop(): Promise<void>;
  /** SIGKILL at once. */
  kill(): void;
}

export interface ProcessHandlers {
  /** A promise pauses the reading until it is done. */
  onLine(line: Buffer): Promise<void> | undefined;
  /** A line without end; nothing more of it is read. */
  onTooLong(): void;
  /** Exactly once. */
  onExit(detail: string): void;
}

const running = new Set<number>();

/** Without Linux's parent-death signal this is what stays; it cannot help when we are killed ourselves. */
process.on('exit', () => {
  for (const pid of running) killGroup(pid, 'SIGKILL');
});

export function startProcess(
  launch: Launch,
  limits: UpstreamLimits,
  log: Log,
  handlers: ProcessHandlers,
  hide: (text: string) => string = (text) => text,
): ServerProcess {
  const { command, args, cwd, env, files, uid, gid } = launch;
  files.forEach(writeCredentialFile);
  const child: ChildProcessWithoutNullStreams = spawn(command, args, {
    cwd,
    env,
    ...(uid !== undefined && { uid }),
    ...(gid !== undefined && { gid }),
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const { pid } = child;
  if (pid !== undefined) running.add(pid);
  const gone = Promise.withResolvers<void>();
  let ended = false;
  const onGone = (detail: string) => {
    if (ended) return;
    ended = true;
    if (pid !== undefined) {
      // What it left behind in its group goes, too.
      killGroup(pid, 'SIGKILL');
      running.delete(pid);
    }
    files.forEach(removeCredentialFile);
    child.stdout.destroy();
    child.stderr.destroy();
    gone.resolve();
    handlers.onExit(detail);
  };
  child.on('error', (error) => onGone(`The process could not be started: ${error.message}`));
  child.on('exit', (code, signal) => {
    const detail = signal === null ? `The process exited with code ${code}.` : `The process was ended by ${signal}.`;
    // Its last words may still be in the pipe; a grandchild may hold the pipe open for ever.
    const timer = setTimeout(() => onGone(detail), lastWordsMs);
    child.on('close', () => {
      clearTimeout(timer);
      onGone(detail);
    });
  });
  // A server that is gone cannot be written to: its exit says so.
  child.stdin.on('error', (error) => log.debug('upstream.stdin', { error }));
  child.stdout.on('error', (error) => log.debug('upstream.stdout', { error }));
  child.stdout.on('data', createLineReader(child.stdout, limits.messageBytes, handlers));
  logStderr(child, env, limits, log, hide);

  return {
    write(line) {
      child.stdin.write(line);
      return child.stdin.writableLength <= limits.unreadBytes;
    },

    async stop() {
      if (ended || pid === undefined) return gone.promise;
      child.stdin.end();
      for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
        const timer = Promise.withResolvers<void>();
        const handle = setTimeout(timer.resolve, limits.exitGraceMs);
        await Promise.race([gone.promise, timer.promise]);
        clearTimeout(handle);
        if (ended) return;
        killGroup(pid, signal);
      }
      await gone.promise;
    },

    kill() {
      if (!ended && pid !== undefined) killGroup(pid, 'SIGKILL');
    },
  };
}

const lastWordsMs = 200;

function killGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(process.platform === 'win32' ? pid : -pid, signal);
  } catch (error) {
    // Nobody is left.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Shorter values are no secrets, and taking them out would only garble the log. */
const minSecretChars = 8;

/**
 * Standard error becomes log lines, cut and counted: a log is no place to fill a disk from. What was granted in the environment may
 * be a credential, and a server that prints it must not write it to our log.
 */
function logStderr(
  child: ChildProcessWithoutNullStreams,
  env: Record<string, string>,
  limits: UpstreamLimits,
  log: Log,
  hide: (text: string) => string,
): void {
  const granted = Object.entries(env).filter(([name, value]) => name !== 'PATH' && value.length >= minSecretChars);
  let minute = 0;
  let lines = 0;
  let rest = '';
  const emit = (line: string) => {
    const now = Math.floor(performance.now() / 60_000);
    if (now !== minute) {
      if (lines > limits.stderrLinesPerMinute)
        log.warn('upstream.stderr-suppressed', { lines: lines - limits.stderrLinesPerMinute });
      minute = now;
      lines = 0;
    }
    if (++lines > limits.stderrLinesPerMinute || line === '') return;
    let text = hide(line);
    for (const [name, value] of granted) text = text.replaceAll(value, `[${name}]`);
    log.info('upstream.stderr', { line: text.slice(0, limits.stderrLineBytes) });
  };
  child.stderr.setEncoding('utf8');
  child.stderr.on('data', (text: string) => {
    const parts = (rest + text).split('\n');
    rest = (parts.pop() ?? '').slice(0, 2 * limits.stderrLineBytes);
    for (const part of parts) emit(part.slice(0, 2 * limits.stderrLineBytes));
  });
  child.stderr.on('end', () => emit(rest));
  child.stderr.on('error', (error) => log.debug('upstream.stderr-lost', { error }));
}
