import type { Lifecycle, WorkloadManifest } from '@gatehouse/protocol';
import { GatehouseError } from '../platform/index.ts';
import type { Database, DatabaseTransaction } from '../storage/index.ts';
import { type ChangeSet, type Context, emptyChangeSet, flush, raise, showOwn } from './context.ts';
import { fromObjectRow } from './objects.ts';
import { endTasksOf } from './task-rows.ts';

/**
 * Services that are not agents. Their manifest is declared; what was done to one (suspended, killed, retired) is a row of its own, so that
 * no apply undoes it, and neither does deleting the manifest and adding it again.
 */
export interface Workload {
  name: string;
  manifest: WorkloadManifest;
  spiffeId: string;
  state: Lifecycle;
  /** Raised by every change of state or environment, and by deleting the manifest: SVIDs from before are refused. */
  epoch: number;
  killedAt: number | null;
}

export function workloadSpiffeId(trustDomain: string, environment: string, name: string): string {
  return `spiffe://${trustDomain}/env/${environment}/workload/${name}`;
}

/** As the database has it now: pass a transaction, and what is done there is refused to a workload that was stopped before it. */
export async function readWorkload(db: Database, trustDomain: string, name: string): Promise<Workload | undefined> {
  return (await readWorkloads(db, trustDomain, [name]))[0];
}

export async function readWorkloads(db: Database, trustDomain: string, only?: string[]): Promise<Workload[]> {
  let query = db
    .selectFrom('objects as o')
    .leftJoin('workload_lives as l', 'l.name', 'o.name')
    .select(['o.name', 'o.body', 'l.state', 'l.epoch', 'l.killed_at'])
    .where('o.kind', '=', 'Workload')
    .orderBy('o.name');
  if (only !== undefined) query = query.where('o.name', 'in', only);
  return (await query.execute()).flatMap(({ name, body, state, epoch, killed_at }) => {
    const { manifest } = fromObjectRow({ body });
    if (manifest.kind !== 'Workload') return [];
    return {
      name,
      manifest,
      spiffeId: workloadSpiffeId(trustDomain, manifest.environment, name),
      state: further(manifest.state, (state ?? 'draft') as Lifecycle),
      epoch: epoch ?? 1,
      killedAt: killed_at,
    };
  });
}

const forward: Lifecycle[] = ['draft', 'active', 'suspended', 'retired'];
const further = (a: Lifecycle, b: Lifecycle): Lifecycle => (forward.indexOf(a) > forward.indexOf(b) ? a : b);

/** Throws when the workload may do nothing. */
export async function activeWorkload(db: Database, trustDomain: string, name: string): Promise<Workload> {
  return requireActive(await readWorkload(db, trustDomain, name), name);
}

export function requireActive(workload: Workload | undefined, name: string): Workload {
  if (!workload) throw unknown(name);
  if (workload.state === 'active') return workload;
  const stopped = workload.killedAt === null ? `is ${workload.state}` : 'was killed';
  throw new GatehouseError(
    'forbidden',
    workload.killedAt === null ? `workload.${workload.state}` : 'workload.killed',
    `The workload "${name}" ${stopped}. Its owner ${workload.manifest.owner} can say why.`,
  );
}

/**
 * `active` lifts a suspension or kill, and is refused while the manifest itself says otherwise. Every other state but `active` ends the
 * tasks that the workload vouches for when it is a kill or a retirement.
 */
export async function setWorkloadState(
  context: Context,
  name: string,
  state: Exclude<Lifecycle, 'draft'>,
  by: string,
  options: { killed?: boolean; reason?: string } = {},
): Promise<Workload> {
  const { workload, changes } = await context.storage.transaction((transaction) =>
    setStateWithin(context, transaction, name, state, by, options),
  );
  await showOwn(context, changes);
  return workload;
}

async function setStateWithin(
  context: Context,
  transaction: DatabaseTransaction,
  name: string,
  state: Exclude<Lifecycle, 'draft'>,
  by: string,
  { killed = false, reason }: { killed?: boolean; reason?: string },
): Promise<{ workload: Workload; changes: ChangeSet }> {
  const changes = emptyChangeSet();
  const now = context.clock.now();
  const before = await readWorkload(transaction, context.trustDomain, name);
  if (!before) throw unknown(name);
  if (before.state === 'retired' && state !== 'retired' && !killed)
    throw new GatehouseError(
      'conflict',
      'workload.transition',
      `The workload "${name}" is retired for good. Declare a new one.`,
    );
  if (state === 'active' && before.manifest.state !== 'active')
    throw new GatehouseError(
      'conflict',
      'workload.transition',
      `The manifest of the workload "${name}" says ${before.manifest.state}: apply it with \`state: active\` first.`,
    );
  if (before.state === state && !killed) return { workload: before, changes };
  const killedAt = killed ? now : state === 'active' ? null : before.killedAt;
  const life = {
    state: before.state === 'retired' ? before.state : state,
    epoch: before.epoch + 1,
    killed_at: killedAt,
  };
  await transaction
    .insertInto('workload_lives')
    .values({ name, ...life })
    .onConflict((conflict) => conflict.column('name').doUpdateSet(life))
    .execute();
  const ended =
    killed || state === 'retired'
      ? await endTasksOf(transaction, { vouchedBy: before.spiffeId }, killed ? 'killed' : 'ended', now, changes)
      : 0;
  raise(changes, `workload:${name}`);
  changes.records.push({
    operation: `workload.${killed ? 'kill' : operations[state]}`,
    by,
    environment: before.manifest.environment,
    changes: [
      `workload ${name}: ${before.state} → ${life.state}`,
      ...(ended > 0 ? [`${ended} of its running tasks ended`] : []),
    ],
    ...(reason && { detail: reason }),
  });
  await flush(context, transaction, changes);
  const after = await readWorkload(transaction, context.trustDomain, name);
  return { workload: after ?? before, changes };
}

/** What an apply makes of a workload that was there before: its SVIDs are refused where it is no longer what it was. */
export async function followWorkload(
  transaction: DatabaseTransaction,
  { before, after }: { before: WorkloadManifest | null; after: WorkloadManifest | null },
  changes: ChangeSet,
): Promise<void> {
  const name = (before ?? after)?.name as string;
  raise(changes, `workload:${name}`);
  if (!before || (after?.state === before.state && after.environment === before.environment)) return;
  await transaction
    .insertInto('workload_lives')
    .values({ name, state: 'draft', epoch: 2, killed_at: null })
    .onConflict((conflict) =>
      conflict.column('name').doUpdateSet((eb) => ({ epoch: eb('workload_lives.epoch', '+', 1) })),
    )
    .execute();
}

const operations = { active: 'activate', suspended: 'suspend', retired: 'retire' } as const;

const unknown = (name: string) =>
  new GatehouseError(
    'not-found',
    'workload.unknown',
    `There is no workload "${name.slice(0, 64)}". Declare it with a manifest first.`,
  );
