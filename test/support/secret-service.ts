import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { hasPrograms } from './debian.ts';

/** A real Secret Service (gnome-keyring-daemon) on a session bus of its own, with a home that only it has. */
export interface SecretService {
  /** What a program needs to find it. */
  env: Record<string, string>;
  /** Where the daemon keeps its files. */
  home: string;
  /** Ends the session and begins another with the same files; `locked`: nobody types the password. */
  restart(options?: { locked?: boolean }): Promise<void>;
  close(): Promise<void>;
}

/** The session lives as long as we hold its input. */
const SESSION = `
  if [ "$1" != locked ]; then printf %s "$0" | gnome-keyring-daemon --unlock --components=secrets >/dev/null
  else gnome-keyring-daemon --start --components=secrets >/dev/null; fi
  echo "$DBUS_SESSION_BUS_ADDRESS"
  cat >/dev/null`;

/** Undefined where it is not installed (in CI: throws). */
export async function startSecretService(): Promise<SecretService | undefined> {
  if (!hasPrograms(['gnome-keyring-daemon', 'dbus-run-session'], ['gnome-keyring', 'dbus'])) return undefined;
  const home = mkdtempSync(join(tmpdir(), 'gatehouse-keyring-'));
  let session: ChildProcess;
  let address = '';

  const start = async (mode: 'open' | 'locked') => {
    session = spawn('dbus-run-session', ['--', '/bin/sh', '-c', SESSION, 'password of a test', mode], {
      env: { PATH: process.env.PATH, HOME: home, XDG_RUNTIME_DIR: home },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    let complaint = '';
    session.stderr?.on('data', (chunk) => {
      complaint = (complaint + chunk).slice(-2_000);
    });
    const [line] = await Promise.race([
      once(createInterface({ input: session.stdout as NodeJS.ReadableStream }), 'line'),
      once(session, 'exit').then(() => {
        throw new Error(`the session ended: ${complaint}`);
      }),
    ]);
    address = line;
  };
  const end = async () => {
    if (session.exitCode !== null) return;
    const ended = once(session, 'exit');
    session.stdin?.end();
    await ended;
  };

  await start('open');
  return {
    get env() {
      return { DBUS_SESSION_BUS_ADDRESS: address, XDG_RUNTIME_DIR: home };
    },
    home,
    async restart({ locked = false } = {}) {
      await end();
      await start(locked ? 'locked' : 'open');
    },
    async close() {
      await end();
      rmSync(home, { recursive: true, force: true });
    },
  };
}
