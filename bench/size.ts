import { type ChildProcess, spawn } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { freePort } from '../test/support/workspace.ts';
import { median } from './call.ts';

const root = join(import.meta.dirname, '..');

export interface SizeResult {
  /** From the start of the process to the first answer of the API, on a data directory that is there already; median. */
  startMs: number;
  idleBytes: number;
  consoleFirstLoadBytes: number;
}

/** P6: the built server as `npm start` runs it, on the quick-start workspace. */
export async function benchSize(rounds: number): Promise<SizeResult> {
  const dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'));
  try {
    await timeStart(dataDir, 5_000);
    const starts: { ms: number; idleBytes: number }[] = [];
    for (let round = 0; round < rounds; round++) starts.push(await timeStart(dataDir, 2_000));
    return {
      startMs: median(starts.map(({ ms }) => ms)),
      idleBytes: median(starts.map(({ idleBytes }) => idleBytes)),
      consoleFirstLoadBytes: firstLoad(),
    };
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}

async function timeStart(dataDir: string, restMs: number): Promise<{ ms: number; idleBytes: number }> {
  const port = await freePort();
  const from = performance.now();
  const child = spawn(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      join(root, 'dist/gatehouse.mjs'),
      'start',
      '--data-dir',
      dataDir,
      '--port',
      String(port),
    ],
    { stdio: 'ignore' },
  );
  let ms = 0;
  while (ms === 0) {
    const answer = await fetch(`http://127.0.0.1:${port}/api/v1/status`).catch(() => undefined);
    if (answer?.ok) ms = performance.now() - from;
    else if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}`);
    else await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await new Promise((resolve) => setTimeout(resolve, restMs));
  const idleBytes = residentBytes(child);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await ended;
  return { ms, idleBytes };
}

function residentBytes(child: ChildProcess): number {
  const pages = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1];
  return Number(pages ?? 0) * 1024;
}

/** Scripts and styles that index.html names, compressed. */
function firstLoad(): number {
  const consoleDir = join(root, 'dist/console');
  const index = readFileSync(join(consoleDir, 'index.html'));
  const named = globSync('assets/*.{js,css}', { cwd: consoleDir }).filter((file) => index.includes(file));
  return [index, ...named.map((file) => readFileSync(join(consoleDir, file)))].reduce(
    (sum, bytes) => sum + gzipSync(bytes, { level: 9 }).byteLength,
    0,
  );
}
