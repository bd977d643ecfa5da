import type { AgentManifest, Manifest, PersonManifest, PlanChange } from '@gatehouse/protocol';
import { canonicalJson } from '../platform/index.ts';
import type { DatabaseTransaction, Tables } from '../storage/index.ts';
import { changeKeys } from './agent-keys.ts';
import { checkWorkspace } from './check-workspace.ts';
import { announce, type ChangeSet, type Context, emptyChangeSet, flush, lines, raise, showOwn } from './context.ts';
import { rememberDeciders } from './deciders.ts';
import { inWords } from './differences.ts';
import { hasAdmin, keepAnAdmin } from './last-admin.ts';
import { invalidManifests } from './manifest-problem.ts';
import { effectsOf } from './merge-agent.ts';
import { nameOf, type ObjectManifest, type PersonStanding, splitKey, toObjectBody } from './objects.ts';
import { observeWithin, rejudgeServer } from './observe.ts';
import { parseManifests } from './parse-manifests.ts';
import { checkSteps, objectsAfter, planSteps, readStored, type Step, type Stored } from './plan.ts';
import { standingOf } from './standing.ts';
import { endTasksOf } from './task-rows.ts';
import type { ApplyOptions, Rehearsal, Snapshot } from './types.ts';
import { validateWithin } from './validate.ts';
import { followWorkload } from './workloads.ts';

/** Rolls a transaction back that was only made to see what it would do. */
class Rehearsed extends Error {
  readonly rehearsal: Rehearsal;

  constructor(rehearsal: Rehearsal) {
    super('rehearsed');
    this.rehearsal = rehearsal;
  }
}

/** What an apply would do, found by doing it and taking it back: what it shows, an apply does, and what it refuses, an apply refuses. */
export async function rehearse(
  context: Context,
  given: readonly Manifest[],
  options: Omit<ApplyOptions, 'by'>,
): Promise<Rehearsal> {
  const manifests = parseManifests(given);
  await context.prepare?.(manifests);
  const unrecorded: Context = { ...context, recordChange: async () => undefined };
  try {
    await context.storage.transaction(async (transaction) => {
      const made = await applyWithin(unrecorded, transaction, manifests, { ...options, by: 'gatehouse' });
      const announced = [...made.changes.announcements.values()];
      // Of agents alone no policies are made, so that nobody has looked at them yet.
      const isShown = made.snapshot !== context.keeper.snapshot() || announced.length === 0;
      throw new Rehearsed(
        isShown ? made : { ...made, snapshot: await context.keeper.candidate(transaction, announced) },
      );
    });
  } catch (error) {
    if (error instanceof Rehearsed) return error.rehearsal;
    throw error;
  }
  throw new Error('a rehearsal is always taken back');
}

export async function apply(
  context: Context,
  given: readonly Manifest[],
  options: ApplyOptions,
): Promise<PlanChange[]> {
  const manifests = parseManifests(given);
  await context.prepare?.(manifests);
  const { steps, changes } = await context.storage.transaction((transaction) =>
    applyWithin(context, transaction, manifests, options),
  );
  await showOwn(context, changes);
  return steps.map(({ change }) => change);
}

async function applyWithin(
  context: Context,
  transaction: DatabaseTransaction,
  manifests: Manifest[],
  options: ApplyOptions,
): Promise<{ steps: Step[]; changes: ChangeSet; snapshot: Snapshot }> {
  await options.first?.(transaction);
  const stored = await readStored(transaction, manifests, options.prune);
  const steps = planSteps(manifests, stored, options.prune, options.remove);
  const changed = steps.filter(({ change }) => change.operation !== 'unchanged');
  await options.consider?.(changed, transaction);
  for (const step of changed) options.mayChange?.(step);
  const objects = objectsAfter(steps, stored);
  const problems = checkWorkspace({
    objects,
    isWhole: stored.isWhole,
    trustDomain: context.trustDomain,
    agents: steps.flatMap(({ after }) => (after?.kind === 'Agent' ? [after] : [])),
    created: new Set(steps.filter(({ change }) => change.operation === 'create').map(({ key }) => key)),
    lookAlikeAgent: context.keeper.lookAlikeAgent,
    keyHolder: context.keeper.keyHolder,
    environmentOf: (agent) => context.keeper.snapshot().agents.get(agent)?.manifest.environment,
  });
  if (problems.length > 0) throw invalidManifests(problems);
  checkSteps(steps, stored);

  const changes = emptyChangeSet();
  changes.version = options.version;
  const now = context.clock.now();
  const concernsPeople = changed.some(({ change: { kind } }) => kind === 'Person' || kind === 'RoleMapping');
  if (concernsPeople) await rememberDeciders(transaction, now);
  for (const step of changed) {
    const record = recordOf(step, options.by);
    if (step.change.kind === 'Retention')
      record.changes.push(...(await standingOf(transaction, step, options.by, now)));
    changes.records.push(record);
  }
  await writeObjects(transaction, changed, stored, options.by, now, changes);
  await writeAgents(transaction, changed, stored, now, changes);
  for (const step of changed) await followUp(transaction, step, options.by, now, changes);
  for (const [server, served] of options.served ?? []) {
    if (objects.has(`ToolServer/${server}`))
      await observeWithin(transaction, { server, served, by: options.by, now, changes, mayApprove: true });
  }
  await flush(context, transaction, changes);
  // Only who is changed or taken away can have been the last one.
  if (changed.some(({ before }) => before?.kind === 'Person' || before?.kind === 'RoleMapping'))
    await keepAnAdmin(context, transaction, {
      had: hasAdmin(stored.objects.values()),
      by: options.by,
      stands: false,
    });
  const snapshot = (await validateWithin(context, transaction, changes)) ?? context.keeper.snapshot();
  return { steps, changes, snapshot };
}

function recordOf({ change, before, after }: Step, by: string): ChangeSet['records'][number] {
  const head = `${change.kind} ${change.name}`;
  const words = { create: 'created', update: 'updated', delete: after === null ? 'deleted' : '', unchanged: '' };
  const agent = (after ?? before)?.kind === 'Agent' ? ((after ?? before) as AgentManifest) : undefined;
  const verb = change.operation === 'delete' && agent ? 'retired' : words[change.operation];
  return {
    operation: verb === 'retired' ? 'agent.retire' : 'manifest.apply',
    by,
    ...(agent && { agent: agent.name, environment: agent.environment }),
    changes: lines([`${verb} ${head}`, ...(change.differences ?? []).map(inWords)]),
  };
}

const ROWS_PER_INSERT = 200;

async function writeObjects(
  transaction: DatabaseTransaction,
  changed: readonly Step[],
  stored: Stored,
  by: string,
  now: number,
  changes: ChangeSet,
): Promise<void> {
  const rows = new Map<string, Tables['objects'] | null>();
  for (const { key, after, before, change } of changed) {
    if ((after ?? before)?.kind === 'Agent') continue;
    announce(changes, 'object', key);
    const standing = stored.objects.get(key)?.person;
    const left = after ?? (before?.kind === 'Person' ? undeclared(before, standing) : null);
    const person = standing && { ...standing, declared: after !== null };
    const { kind } = change;
    const name = nameOf((after ?? before) as Manifest);
    rows.set(
      key,
      left && {
        kind,
        name,
        body: toObjectBody({ manifest: left as ObjectManifest, appliedBy: by, ...(person && { person }) }),
        updated_at: now,
      },
    );
  }
  const kept = [...rows.values()].filter((row) => row !== null);
  for (let at = 0; at < kept.length; at += ROWS_PER_INSERT)
    await transaction
      .insertInto('objects')
      .values(kept.slice(at, at + ROWS_PER_INSERT))
      .onConflict((conflict) =>
        conflict.columns(['kind', 'name']).doUpdateSet(({ ref }) => ({
          body: ref('excluded.body'),
          updated_at: ref('excluded.updated_at'),
        })),
      )
      .execute();
  for (const [key, row] of rows) {
    if (row) continue;
    const { kind, name } = splitKey(key);
    await transaction.deleteFrom('objects').where('kind', '=', kind).where('name', '=', name).execute();
  }
}

/** Whom no manifest names any more stays as far as a directory names them. */
function undeclared(before: PersonManifest, standing: PersonStanding | undefined): PersonManifest | null {
  if (!standing?.provision) return null;
  return { kind: 'Person', email: before.email, displayName: standing.provision.displayName, roles: [] };
}

async function writeAgents(
  transaction: DatabaseTransaction,
  changed: readonly Step[],
  stored: Stored,
  now: number,
  changes: ChangeSet,
): Promise<void> {
  const created = changed.flatMap(({ before, after }) => (!before && after?.kind === 'Agent' ? [after] : []));
  for (let at = 0; at < created.length; at += ROWS_PER_INSERT) {
    const rows = created.slice(at, at + ROWS_PER_INSERT).map((manifest) => ({
      name: manifest.name,
      ...columnsOf(manifest, now),
      epoch: 1,
      killed_at: null,
    }));
    await transaction.insertInto('agents').values(rows).execute();
  }
  for (const manifest of created) announce(changes, 'agent', manifest.name);
  await changeKeys(
    transaction,
    changed.flatMap(({ before, after }) =>
      after?.kind === 'Agent'
        ? [{ agent: after.name, before: before?.kind === 'Agent' ? before.keys : [], after: after.keys }]
        : [],
    ),
  );

  for (const { before, after } of changed) {
    if (before?.kind !== 'Agent') continue;
    const manifest: AgentManifest = after?.kind === 'Agent' ? after : { ...before, state: 'retired' };
    const effects = effectsOf(before, manifest);
    const epoch = stored.agents.get(before.name)?.row.epoch ?? 0;
    await transaction
      .updateTable('agents')
      .set({ ...columnsOf(manifest, now), epoch: effects.raisesEpoch ? epoch + 1 : epoch })
      .where('name', '=', before.name)
      .execute();
    if (effects.raisesFence) raise(changes, `agent:${before.name}`);
    if (effects.endsTasks) await endTasksOf(transaction, { agents: [before.name] }, 'ended', now, changes);
    announce(changes, 'agent', before.name);
  }
}

export function columnsOf(manifest: AgentManifest, now: number) {
  const { environment, owner, blueprint, state } = manifest;
  return { environment, owner, blueprint, state, body: canonicalJson(manifest), updated_at: now };
}

/** What else a change of an object concerns: fences, and definitions that the operator's word now lets in or keeps out. */
async function followUp(
  transaction: DatabaseTransaction,
  { before, after }: Step,
  by: string,
  now: number,
  changes: ChangeSet,
): Promise<void> {
  const manifest = (after ?? before) as Manifest;
  switch (manifest.kind) {
    case 'Policy':
    case 'Budget':
    case 'Template':
    case 'Calendar':
    case 'OnCall':
    case 'ApprovalRule':
    case 'TicketSystem':
    case 'Detector':
    case 'Channel':
    case 'CredentialProvider':
      raise(changes, 'policy');
      return;
    case 'Environment':
      if (canonicalJson(decidingPart(before)) !== canonicalJson(decidingPart(after))) raise(changes, 'policy');
      return;
    case 'Person':
      raise(changes, `person:${manifest.email}`);
      if (!after) await endTasksOf(transaction, { user: manifest.email }, 'ended', now, changes);
      return;
    case 'Workload':
      return followWorkload(
        transaction,
        {
          before: before?.kind === 'Workload' ? before : null,
          after: after?.kind === 'Workload' ? after : null,
        },
        changes,
      );
    case 'TrustRule':
      raise(changes, `trust-rule:${manifest.name}`);
      return;
    case 'Group': {
      const was = before?.kind === 'Group' ? before : undefined;
      const is = after?.kind === 'Group' ? after : undefined;
      if (
        !was ||
        !is ||
        canonicalJson([was.allow, was.directoryGroup ?? 0]) !== canonicalJson([is.allow, is.directoryGroup ?? 0])
      )
        raise(changes, 'policy');
      const wereIn = new Set(was?.members);
      const areIn = new Set(is?.members);
      for (const member of new Set([...wereIn, ...areIn]))
        if (wereIn.has(member) !== areIn.has(member)) raise(changes, `person:${member}`);
      return;
    }
    case 'ToolServer': {
      const was = before?.kind === 'ToolServer' ? before : undefined;
      const is = after?.kind === 'ToolServer' ? after : undefined;
      raise(changes, `server:${manifest.name}`);
      const tools = new Set([...Object.keys(was?.tools ?? {}), ...Object.keys(is?.tools ?? {})]);
      let differs = !is || !was;
      for (const tool of tools) {
        if (canonicalJson(was?.tools[tool] ?? null) === canonicalJson(is?.tools[tool] ?? null)) continue;
        raise(changes, `tool:${manifest.name}/${tool}`);
        differs = true;
      }
      const features = (of: typeof is) =>
        canonicalJson([of?.resources ?? 0, of?.prompts ?? 0, of?.clientRequests ?? 0]);
      if (differs || features(was) !== features(is)) raise(changes, 'policy');
      return rejudgeServer(transaction, { server: manifest.name, before: was, after: is, by, now, changes });
    }
  }
}

/** Of an environment. */
const decidingPart = (manifest: Manifest | null) =>
  manifest?.kind === 'Environment'
    ? [manifest.flowRulesOff ?? [], manifest.baseline ?? null, manifest.breakGlass ?? null]
    : [[], null, null];
