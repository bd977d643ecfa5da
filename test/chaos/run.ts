import { createAudit } from './audit.ts';
import { createJournal } from './journal.ts';
import { type LoadEvent, settle, startLoad } from './load.ts';
import { seeded } from './random.ts';
import { type Scene, startScene } from './scene.ts';
import { createStoredReader } from './stored.ts';

export interface ChaosOptions {
  points: number;
  seed: number;
  /** Gives the database of a new workspace: `sqlite`, or a URL and how to drop it. */
  database(): Promise<{ database: string; drop(): Promise<void> }>;
  onPoint?(point: number, moment: string): void;
}

export interface ChaosResult {
  points: number;
  /** How often the server died at each kind of moment. */
  moments: Record<string, number>;
  calls: number;
  seenByUpstreams: number;
  records: number;
  unknownAfterRestart: number;
  paymentsApproved: number;
  paymentsRun: number;
  /** What is wrong, in words; the law holds when there is nothing. */
  violations: string[];
}

/** A workspace is used for so many points: long enough to start on what many deaths left, short enough to verify it every time. */
const POINTS_PER_WORKSPACE = 20;
/** A moment that does not come in this time is taken to be now. */
const PATIENCE_MS = 4_000;

/** A moment at which the server dies. */
type Moment =
  | { kind: 'after a time'; ms: number }
  | { kind: 'as the upstream sees a call'; count: number }
  | {
      kind: 'as an answer arrives' | 'as an approval is given' | 'as a payment is sent';
      event: LoadEvent;
      count: number;
    }
  | { kind: 'while it starts'; ms: number };

export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const result: ChaosResult = {
    points: 0,
    moments: {},
    calls: 0,
    seenByUpstreams: 0,
    records: 0,
    unknownAfterRestart: 0,
    paymentsApproved: 0,
    paymentsRun: 0,
    violations: [],
  };
  while (result.points < options.points) await runWorkspace(options, result);
  return result;
}

async function runWorkspace(options: ChaosOptions, result: ChaosResult): Promise<void> {
  const { database, drop } = await options.database();
  const scene = await startScene(database);
  try {
    const journal = createJournal();
    const audit = createAudit(createStoredReader(database, scene.replica.config.dataDir), journal);
    const checkpoints = new Set<string>();
    const last = Math.min(options.points, result.points + POINTS_PER_WORKSPACE);
    for (let point = result.points + 1; point <= last; point++) {
      const report = (wrong: string[]) => {
        for (const text of wrong) result.violations.push(`point ${point}: ${text}`);
      };
      const seed = (options.seed * 1_000_003 + point) >>> 0;
      const moment = chooseMoment(seeded(seed));
      options.onPoint?.(point, moment.kind);
      result.moments[moment.kind] = (result.moments[moment.kind] ?? 0) + 1;
      result.points = point;
      for (const note of await checkpointsOf(scene)) checkpoints.add(note);

      await strike(scene, moment, (onEvent) => startLoad(scene, journal, `p${point}`, seed, onEvent));
      if (moment.kind === 'while it starts') await scene.replica.startAndKill(moment.ms);
      const unknownBefore = new Set(audit.unknownAfterRestart);
      await scene.replica.start();

      report(await audit.check(scene.seen()));
      const fresh = [...audit.unknownAfterRestart].filter((action) => !unknownBefore.has(action));
      for (const id of fresh.slice(0, 5)) {
        const { summary } = await scene.operator.call('GET /actions/:id', { params: { id } });
        if (summary.status !== 'unknown') report([`${id} shows as ${summary.status} instead of unknown`]);
      }
      const verified = await scene.operator.call('POST /logs/verify');
      if (!verified.ok) report([`the log does not verify: ${verified.problem}`]);
      await settle(scene, journal);
    }
    await finish(scene, audit, journal, checkpoints, result);
  } finally {
    await scene.close();
    await drop();
  }
}

/** Everything once more when all has come to rest, and each checkpoint that was handed out before a death still holds. */
async function finish(
  scene: Scene,
  audit: ReturnType<typeof createAudit>,
  journal: ReturnType<typeof createJournal>,
  checkpoints: Set<string>,
  result: ChaosResult,
): Promise<void> {
  for (const note of await checkpointsOf(scene)) checkpoints.add(note);
  const { items: logs } = await scene.operator.call('GET /logs');
  await scene.replica.stop();
  const seen = scene.seen();
  const wrong = [...(await audit.check(seen, { openAllowed: true })), ...(await audit.verify(logs, [...checkpoints]))];
  for (const text of wrong) result.violations.push(`after point ${result.points}: ${text}`);
  result.calls += journal.calls;
  result.seenByUpstreams += seen.length;
  result.records += audit.records;
  result.unknownAfterRestart += audit.unknownAfterRestart.size;
  const payments = [...journal.payments];
  result.paymentsApproved += payments.filter(([, { acknowledged }]) => acknowledged).length;
  const ids = new Set(seen);
  result.paymentsRun += payments.filter(([id]) => ids.has(id)).length;
}

async function checkpointsOf(scene: Scene): Promise<string[]> {
  const { items } = await scene.operator.call('GET /logs');
  return items.flatMap(({ checkpoint }) => checkpoint ?? []);
}

function chooseMoment(random: () => number): Moment {
  const [kind, amount] = [random(), random()];
  const count = 1 + Math.floor(amount * 120);
  if (kind < 0.3) return { kind: 'after a time', ms: Math.floor(amount * 1_200) };
  if (kind < 0.6) return { kind: 'as the upstream sees a call', count };
  if (kind < 0.72) return { kind: 'as an answer arrives', event: 'answered', count };
  if (kind < 0.8) return { kind: 'as an approval is given', event: 'approving', count: 1 + (count % 8) };
  if (kind < 0.9) return { kind: 'as a payment is sent', event: 'paying', count: 1 + (count % 8) };
  return { kind: 'while it starts', ms: Math.floor(amount * 2_000) };
}

/** Lets callers work until the moment has come, and ends the server. Resolves when nothing is under way any more. */
async function strike(
  scene: Scene,
  moment: Moment,
  begin: (onEvent: (event: LoadEvent) => void) => { stop(): Promise<void> },
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let left = 'count' in moment ? moment.count : Number.POSITIVE_INFINITY;
  const count = () => {
    if (--left === 0) resolve();
  };
  const hear = scene.onCall(() => moment.kind === 'as the upstream sees a call' && count());
  const load = begin((event) => 'event' in moment && moment.event === event && count());
  const timer = setTimeout(resolve, moment.kind === 'after a time' ? moment.ms : PATIENCE_MS);
  if (moment.kind === 'while it starts') setTimeout(resolve, 100);
  await promise;
  const dead = scene.replica.kill();
  clearTimeout(timer);
  hear();
  await Promise.all([dead, load.stop()]);
}
