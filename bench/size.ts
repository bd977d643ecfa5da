import { spawn } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { freePort } from '../test/support/free-port.ts';
import { type Measure, median, table } from './measure.ts';
import { usageOf } from './processes.ts';

const root = join(import.meta.dirname, '..');

export const measure: Measure = {
  heading: 'P6: size',
  options: { rounds: '5' },
  async run({ rounds }) {
    const size = await benchSize(Number(rounds));
    return {
      rows: size,
      how: `The built server on the quick-start workspace, data directory there already, with its port for mutual TLS; medians of ${rounds} starts. CPU time is what a start
takes on a machine that does nothing else.`,
      tables: table(
        ['start to first answer', 'CPU time until then', 'idle memory', 'console, first load'],
        [
          [
            `${Math.round(size.startMs)} ms`,
            `${Math.round(size.startCpuMs)} ms`,
            `${(size.idleBytes / 1024 / 1024).toFixed(0)} MB`,
            `${(size.consoleFirstLoadBytes / 1000).toFixed(0)} kB gzip`,
          ],
        ],
      ),
    };
  },
};

interface SizeResult {
  /** From the start of the process to the first answer of the API, on a data directory that is there already; median. */
  startMs: number;
  /** Of all its threads, until then. */
  startCpuMs: number;
  idleBytes: number;
  consoleFirstLoadBytes: number;
}

/** The built server as `npm start` runs it. */
async function benchSize(rounds: number): Promise<SizeResult> {
  const dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'));
  try {
    await timeStart(dataDir, 5_000);
    const starts: Awaited<ReturnType<typeof timeStart>>[] = [];
    for (let round = 0; round < rounds; round++) starts.push(await timeStart(dataDir, 2_000));
    return {
      startMs: median(starts.map(({ ms }) => ms)),
      startCpuMs: median(starts.map(({ cpuMs }) => cpuMs)),
      idleBytes: median(starts.map(({ idleBytes }) => idleBytes)),
      consoleFirstLoadBytes: firstLoad(),
    };
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}

async function timeStart(dataDir: string, restMs: number): Promise<{ ms: number; cpuMs: number; idleBytes: number }> {
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
  const { cpuMs } = usageOf(child);
  await new Promise((resolve) => setTimeout(resolve, restMs));
  const { residentBytes: idleBytes } = usageOf(child);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await ended;
  return { ms, cpuMs, idleBytes };
}

/** Scripts and styles that every page begins with, as the service worker names them, compressed; without the page's own and the font. */
function firstLoad(): number {
  const consoleDir = join(root, 'dist/console');
  const index = readFileSync(join(consoleDir, 'index.html'));
  const worker = readFileSync(join(consoleDir, 'sw.js'));
  const named = globSync('assets/*.{js,css}', { cwd: consoleDir }).filter((file) => worker.includes(`/${file}`));
  return [index, ...named.map((file) => readFileSync(join(consoleDir, file)))].reduce(
    (sum, bytes) => sum + gzipSync(bytes, { level: 9 }).byteLength,
    0,
  );
}
