import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { tell } from './cases.ts';

/** What was downloaded or built, in the user's cache, for later runs. It may be removed at any time. */
export function cacheDirectory(name: string): string {
  const directory = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'gatehouse-conformance', name);
  mkdirSync(directory, { recursive: true });
  return directory;
}

/** Throws, saying what to install, where the program is not there. Gives what it says of its version. */
export function needProgram(program: string, versionArgument: string, howToGet: string): string {
  const { status, stdout, stderr } = spawnSync(program, [versionArgument], { encoding: 'utf8' });
  if (status === 0) return (stdout || stderr).split('\n', 1)[0] ?? '';
  throw new Error(`${program} is missing: ${howToGet}.`);
}

/** Runs a program that downloads or builds, at low priority, and tells how long it took; its own words go to standard error. */
export async function prepare(
  what: string,
  program: string,
  args: string[],
  options: { cwd: string; env?: Record<string, string> },
): Promise<void> {
  tell(`${what} …`);
  const begun = Date.now();
  const child = spawn('nice', ['-n', '10', program, ...args], {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 2, 2],
  });
  const code = await new Promise((resolve, reject) => child.once('error', reject).once('exit', resolve));
  if (code !== 0) throw new Error(`${program} ended with ${code}: see what it says above.`);
  tell(`done in ${Math.round((Date.now() - begun) / 1000)} s`);
}

export const goHelp = 'install Go 1.24 or newer; modules come from the proxy that `go env GOPROXY` names';
