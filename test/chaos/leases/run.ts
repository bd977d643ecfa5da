import { setTimeout as delay } from 'node:timers/promises';
import { seeded } from '../random.ts';
import { createStoredReader, type StoredLease } from '../stored.ts';
import { createLeaseAudit, type LeaseAudit } from './audit.ts';
import { type LeaseEvent, type LeaseJournal, startLeaseLoad } from './load.ts';
import type { ChaosProvider } from './providers.ts';
import { type LeaseScene, startLeaseScene } from './scene.ts';

export interface LeaseChaosOptions {
  points: number;
  seed: number;
  database(): Promise<{ database: string; drop(): Promise<void> }>;
  provider(): Promise<ChaosProvider>;
  onPoint?(point: number, moment: string): void;
}

export interface LeaseChaosResult {
  points: number;
  moments: Record<string, number>;
  calls: number;
  /** Credentials that a tool server was given. */
  given: number;
  leases: number;
  /** Leases that were half made, or half ended, when the server died. */
  halfMade: number;
  halfEnded: number;
  renewals: number;
  /** Ended credentials that were tried once more, and refused. */
  refused: number;
  violations: string[];
}

/** A workspace is used for so many points: long enough to start on what many deaths left. */
const POINTS_PER_WORKSPACE = 20;
/** What has not come to its moment by then dies there. */
const PATIENCE_MS = 1_500;
/** Past all in which a lease may still be made, or be claimed by a replica that died while it ended it. */
const PAST_CLAIMS_MS = 45_000;
/** Past all that a provider lets live on that nobody can find. */
const PAST_ALL_MS = 80 * 60_000;

type Moment =
  | { kind: 'as the provider is asked' | 'as the provider answers'; count: number; isPassedOn: boolean }
  | { kind: 'as a tool is given one'; count: number }
  | { kind: 'as one is renewed' | 'as one is ended'; event: LeaseEvent; count: number }
  | { kind: 'after a time' | 'while it starts'; ms: number };

export async function runLeaseChaos(options: LeaseChaosOptions): Promise<LeaseChaosResult> {
  const result: LeaseChaosResult = {
    ...{ points: 0, moments: {}, calls: 0, given: 0, leases: 0, halfMade: 0, halfEnded: 0, renewals: 0, refused: 0 },
    violations: [],
  };
  while (result.points < options.points) await runWorkspace(options, result);
  return result;
}

async function runWorkspace(options: LeaseChaosOptions, result: LeaseChaosResult): Promise<void> {
  const { database, drop } = await options.database();
  const provider = await options.provider();
  const scene = await startLeaseScene(database, provider);
  try {
    const journal: LeaseJournal = { calls: 0, revoked: new Set(), renewed: new Map() };
    const stored = createStoredReader(database, scene.replica.config.dataDir);
    const audit = createLeaseAudit(stored, provider, scene, journal);
    const report = (wrong: string[]) => {
      for (const text of wrong) result.violations.push(`point ${result.points}: ${text}`);
    };
    const [halfMade, halfEnded] = [new Set<string>(), new Set<string>()];
    const last = Math.min(options.points, result.points + POINTS_PER_WORKSPACE);
    for (let point = result.points + 1; point <= last; point++) {
      const seed = (options.seed * 1_000_003 + point) >>> 0;
      const moment = chooseMoment(seeded(seed));
      options.onPoint?.(point, moment.kind);
      result.moments[moment.kind] = (result.moments[moment.kind] ?? 0) + 1;
      result.points = point;
      await strike(scene, provider, moment, (onEvent) => startLeaseLoad(scene, journal, `p${point}`, seed, onEvent));
      for (const { id, state } of await audit.leases()) {
        if (state === 'intended') halfMade.add(id);
        if (state === 'revoking' || state === 'stuck') halfEnded.add(id);
      }
      await provider.quiet();
      report(await audit.always());
      if (moment.kind === 'while it starts') await scene.replica.startAndKill(moment.ms);
      await scene.replica.start();
    }
    await comeToRest(scene, provider, audit, report);
    const leases = await audit.leases();
    result.leases += leases.length;
    result.halfMade += halfMade.size;
    result.halfEnded += halfEnded.size;
    result.renewals += leases.reduce((sum, { renewals }) => sum + renewals, 0);
    result.calls += journal.calls;
    result.given += scene.given.size;
    result.refused += audit.refused;
  } finally {
    await scene.close();
    await provider.close();
    await drop();
  }
}

/** After the last death: what was half done is found and ended, what lives works; then all is ended, and nothing is left anywhere. */
async function comeToRest(
  scene: LeaseScene,
  provider: ChaosProvider,
  audit: LeaseAudit,
  report: (wrong: string[]) => void,
): Promise<void> {
  const until = async (offsetMs: number, isDone: (leases: StoredLease[]) => boolean) => {
    await scene.replica.setClock(offsetMs);
    provider.setClock(offsetMs);
    for (const giveUpAt = Date.now() + 60_000; !isDone(await audit.leases()); await delay(25))
      if (Date.now() > giveUpAt) return report([`it does not come to rest after ${offsetMs} ms`]);
  };
  const waits = ({ state, nextTryAt }: StoredLease) =>
    ['revoking', 'stuck'].includes(state) && (nextTryAt ?? 0) > Date.now() + PAST_CLAIMS_MS + 60_000;
  const isAtRest = (lease: StoredLease) => ['created', 'active', 'revoked'].includes(lease.state) || waits(lease);
  await until(PAST_CLAIMS_MS, (leases) => leases.every(isAtRest));
  report(await audit.atRest());
  await scene.operator.call('POST /tasks/:id/end', { params: { id: scene.task.id } });
  await until(PAST_CLAIMS_MS, (leases) => leases.every((lease) => lease.state === 'revoked' || waits(lease)));
  if ((await audit.leases()).some(waits))
    await until(PAST_ALL_MS, (leases) => leases.every(({ state }) => state === 'revoked'));
  report(await audit.atTheEnd());
}

function chooseMoment(random: () => number): Moment {
  const [kind, amount, isPassedOn] = [random(), random(), random() < 0.5];
  const count = 1 + Math.floor(amount * 150);
  if (kind < 0.35) return { kind: 'as the provider is asked', count, isPassedOn };
  if (kind < 0.6) return { kind: 'as the provider answers', count, isPassedOn };
  if (kind < 0.72) return { kind: 'as a tool is given one', count: 1 + (count % 15) };
  if (kind < 0.8)
    return { kind: 'as one is renewed', event: isPassedOn ? 'renewed' : 'renewing', count: 1 + (count % 4) };
  if (kind < 0.9)
    return { kind: 'as one is ended', event: isPassedOn ? 'revoked' : 'revoking', count: 1 + (count % 4) };
  if (kind < 0.97) return { kind: 'after a time', ms: Math.floor(amount * 500) };
  return { kind: 'while it starts', ms: Math.floor(amount * 1_500) };
}

/** Lets callers work until the moment has come, and ends the server. Resolves when nothing is under way any more. */
async function strike(
  scene: LeaseScene,
  { proxy }: ChaosProvider,
  moment: Moment,
  begin: (onEvent: (event: LeaseEvent) => void) => { stop(): Promise<void> },
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let left = 'count' in moment ? moment.count : Number.POSITIVE_INFINITY;
  let dead: Promise<void> | undefined;
  const die = () => {
    dead ??= scene.replica.kill();
    resolve();
  };
  const count = (): boolean => {
    if (--left === 0) die();
    return left !== 0;
  };
  const direction = moment.kind === 'as the provider is asked' ? 'asked' : 'answered';
  if ('isPassedOn' in moment) proxy.onMessage = (seen) => seen !== direction || count() || moment.isPassedOn;
  if (moment.kind === 'as a tool is given one') scene.onGiven = count;
  const load = begin((event) => 'event' in moment && moment.event === event && count());
  const timer = setTimeout(
    die,
    moment.kind === 'after a time' ? moment.ms : moment.kind === 'while it starts' ? 100 : PATIENCE_MS,
  );
  await promise;
  clearTimeout(timer);
  await dead;
  proxy.onMessage = undefined;
  scene.onGiven = undefined;
  await load.stop();
}
