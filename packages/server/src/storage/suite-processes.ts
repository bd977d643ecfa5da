/**
 * A process that appends without pause and reports each acknowledged unit, to be killed by a test. Run as a program it is that
 * process; imported, it starts one.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createLog, systemClock } from '../platform/index.ts';
import { openStorage, type StorageOptions } from './open.ts';
import { LOG, unitOf, upTo } from './suite.ts';

/** An acknowledged unit: its action and the places of its records. */
export interface Acknowledged {
  actionId: string;
  sequences: number[];
}

export interface Appender {
  process: ChildProcess;
  acknowledged: Acknowledged[];
  /** Resolves when so many units have been acknowledged. */
  reached(count: number): Promise<void>;
}

const CALLERS = 32;

/** Resolves when the process has its storage, log and feed open. */
export async function startAppender(
  t: TestContext,
  { database, dataDir }: StorageOptions,
  { replica = LOG.replica, appends = false } = {},
): Promise<Appender> {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), database, dataDir, replica, String(appends)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  const acknowledged: Acknowledged[] = [];
  const goals: { count: number; resolve(): void }[] = [];
  const lines = createInterface({ input: child.stdout });
  await new Promise<void>((resolve, reject) => {
    child.once('exit', () => reject(new Error('the process ended before it was ready')));
    lines.on('line', (line) => {
      if (line === 'ready') return resolve();
      if (line.startsWith('refused ')) return reject(Object.assign(new Error(line), { code: line.slice(8) }));
      acknowledged.push(JSON.parse(line) as Acknowledged);
      for (const goal of goals) if (acknowledged.length >= goal.count) goal.resolve();
    });
  });
  return {
    process: child,
    acknowledged,
    reached: (count) =>
      new Promise((resolve) => {
        goals.push({ count, resolve });
      }),
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , database = '', dataDir = '', replica = '', appends] = process.argv;
  const options = { database, dataDir, log: createLog('error', () => {}), clock: systemClock };
  const storage = await openStorage(options).catch((error) => {
    process.stdout.write(`refused ${error.code}\n`);
    process.exit(1);
  });
  await storage.openLog({ ...LOG, id: `gatehouse.test/log/${replica}`, replica });
  await storage.feed.start(replica, async () => {});
  process.stdout.write('ready\n');
  if (appends === 'true') {
    await Promise.all(
      upTo(CALLERS).map(async () => {
        for (let round = 0; ; round++) {
          const unit = unitOf(1 + (round % 3));
          const result = await storage.append(unit);
          if (result.ok) {
            process.stdout.write(
              `${JSON.stringify({ actionId: unit.records[0]?.actionId, sequences: result.sequences })}\n`,
            );
          }
        }
      }),
    );
  }
}
