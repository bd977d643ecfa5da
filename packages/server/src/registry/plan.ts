import type { AgentManifest, Manifest, PlanChange } from '@gatehouse/protocol';
import type { Database, Tables } from '../storage/index.ts';
import { inChunks } from './chunks.ts';
import { type Difference, differences } from './differences.ts';
import { invalidManifests, type ManifestProblem, problemOf } from './manifest-problem.ts';
import { mergeAgent } from './merge-agent.ts';
import {
  fromObjectRow,
  keyOf,
  kindOrder,
  nameOf,
  type ObjectManifest,
  type StoredObject,
  splitKey,
} from './objects.ts';

/** What is stored of all that an apply may concern. */
export interface Stored {
  /** False: only what the manifests, all of them agents', refer to. */
  isWhole: boolean;
  objects: Map<string, StoredObject>;
  agents: Map<string, { row: Tables['agents']; manifest: AgentManifest }>;
  /** Agents that a directory names: no repository ends them by not naming them. */
  provisioned: ReadonlySet<string>;
}

/** One manifest against what is stored. */
export interface Step {
  change: PlanChange;
  key: string;
  before: Manifest | null;
  /** Null: it is deleted (an agent is retired). */
  after: Manifest | null;
}

export async function readStored(db: Database, manifests: readonly Manifest[], prune: boolean): Promise<Stored> {
  const agentNames = manifests.filter(({ kind }) => kind === 'Agent').map(nameOf);
  const onlyAgents = !prune && manifests.length > 0 && agentNames.length === manifests.length;
  const agents = prune
    ? await db.selectFrom('agents').selectAll().execute()
    : await inChunks(agentNames, (names) => db.selectFrom('agents').selectAll().where('name', 'in', names).execute());
  // The owner of now counts as well: an agent stays with them where the one that the manifest names has left.
  const objects = onlyAgents
    ? await readReferred(db, [...manifests, ...agents.map(agentManifestOf)], areMoved(manifests, agents))
    : await db.selectFrom('objects').select('body').execute();
  const stored = objects.map(fromObjectRow);
  const provisioned = prune ? await db.selectFrom('scim_agents').select('name').execute() : [];
  return {
    isWhole: !onlyAgents,
    objects: new Map(stored.map((object) => [keyOf(object.manifest), object])),
    agents: new Map(agents.map((row) => [row.name, { row, manifest: agentManifestOf(row) }])),
    provisioned: new Set(provisioned.map(({ name }) => name)),
  };
}

/** Manifests of these kinds as stored now, for who must not rest on what this replica has heard of. */
export async function readManifestsOf<Kind extends ObjectManifest['kind']>(
  db: Database,
  kind: Kind,
): Promise<Extract<ObjectManifest, { kind: Kind }>[]> {
  const rows = await db.selectFrom('objects').select('body').where('kind', '=', kind).execute();
  return rows.map((row) => fromObjectRow(row).manifest as Extract<ObjectManifest, { kind: Kind }>);
}

function areMoved(manifests: readonly Manifest[], agents: readonly Tables['agents'][]): boolean {
  const environments = new Map(agents.map(({ name, environment }) => [name, environment]));
  return manifests.some(
    (manifest) =>
      manifest.kind === 'Agent' && (environments.get(manifest.name) ?? manifest.environment) !== manifest.environment,
  );
}

/** Enrolling agents by the thousand must not read the whole workspace each time. */
async function readReferred(
  db: Database,
  manifests: readonly Manifest[],
  withWorkloads: boolean,
): Promise<{ body: string }[]> {
  const keys = new Set<string>();
  for (const manifest of manifests) {
    if (manifest.kind !== 'Agent') continue;
    keys.add(`Environment/${manifest.environment}`);
    keys.add(`Blueprint/${manifest.blueprint}`);
    keys.add(`Person/${manifest.owner}`);
    for (const blueprint of manifest.delegatesTo?.blueprints ?? []) keys.add(`Blueprint/${blueprint}`);
    for (const client of manifest.clients ?? []) keys.add(`Client/${client}`);
  }
  const workloads = withWorkloads
    ? await db.selectFrom('objects').select('body').where('kind', '=', 'Workload').execute()
    : [];
  const referred = await inChunks(keys, (some) =>
    db
      .selectFrom('objects')
      .select('body')
      .where((eb) =>
        eb.or(some.map(splitKey).map(({ kind, name }) => eb.and([eb('kind', '=', kind), eb('name', '=', name)]))),
      )
      .execute(),
  );
  return [...referred, ...workloads];
}

export function agentManifestOf(row: Tables['agents']): AgentManifest {
  return { ...(JSON.parse(row.body) as AgentManifest), state: row.state as AgentManifest['state'] };
}

/** In the order in which the manifests were given; what is pruned comes last. */
export function planSteps(
  manifests: readonly Manifest[],
  stored: Stored,
  prune: boolean,
  remove: readonly string[] = [],
): Step[] {
  const steps = manifests.map((manifest) => stepFor(manifest, stored));
  for (const key of remove) {
    const object = stored.objects.get(key);
    if (object) steps.push(deleteStep(object.manifest));
  }
  if (!prune) return steps;
  const named = new Set(manifests.map(keyOf));
  const leftOver: Manifest[] = [
    ...[...stored.objects.values()].filter(({ person }) => person?.declared !== false).map(({ manifest }) => manifest),
    ...[...stored.agents.values()]
      .map(({ manifest }) => manifest)
      .filter(({ state, name }) => state !== 'retired' && !stored.provisioned.has(name)),
  ].filter((manifest) => !named.has(keyOf(manifest)));
  return [...steps, ...leftOver.sort(byKindAndName).map(deleteStep)];
}

export function byKindAndName(a: Manifest, b: Manifest): number {
  const kinds = kindOrder.indexOf(a.kind) - kindOrder.indexOf(b.kind);
  if (kinds !== 0) return kinds;
  return nameOf(a) < nameOf(b) ? -1 : 1;
}

function stepFor(manifest: Manifest, stored: Stored): Step {
  const key = keyOf(manifest);
  const before =
    manifest.kind === 'Agent'
      ? (stored.agents.get(manifest.name)?.manifest ?? null)
      : (stored.objects.get(key)?.manifest ?? null);
  const head = { kind: manifest.kind, name: nameOf(manifest) };
  if (!before) return { key, before, after: manifest, change: { operation: 'create', ...head } };
  const { after, note }: { after: Manifest; note?: string } =
    before.kind === 'Agent' && manifest.kind === 'Agent'
      ? keptOwner(before, mergeAgent(before, manifest), stored)
      : { after: manifest, ...returnNote(manifest, stored.objects.get(key)) };
  const found = differences(before, after);
  const change: PlanChange = { operation: found.length > 0 ? 'update' : 'unchanged', ...head };
  if (found.length > 0) change.differences = found.map(masked);
  if (note !== undefined) change.note = note;
  return { key, before, after, change };
}

/** Whose owner has left is not given back to them by a repository that has not heard of it yet. */
function keptOwner(
  before: AgentManifest,
  merged: { after: AgentManifest; note?: string },
  stored: Stored,
): { after: AgentManifest; note?: string } {
  const { owner } = merged.after;
  if (owner === before.owner || !stored.objects.get(`Person/${owner}`)?.person?.departed) return merged;
  // Its keys of then may have been dropped, and may be in the hands of who has left.
  const { keys } = before;
  const kept = `It stays with ${before.owner}: ${owner} has left.`;
  return { after: { ...merged.after, owner: before.owner, keys }, note: merged.note ? `${merged.note} ${kept}` : kept };
}

function returnNote(manifest: Manifest, stored: StoredObject | undefined): { note?: string } {
  if (manifest.kind !== 'Person' || !stored?.person?.departed) return {};
  return { note: 'They have left, and an apply does not bring them back: reinstate them as an act of its own.' };
}

function deleteStep(manifest: Manifest): Step {
  const change: PlanChange = { operation: 'delete', kind: manifest.kind, name: nameOf(manifest) };
  if (manifest.kind === 'Agent') change.note = 'It is retired: its history stays, and its name is not used again.';
  return { key: keyOf(manifest), before: manifest, after: null, change };
}

/** The environment of a process is where people put keys: a plan or record says that it differs, and never what it is (law 3). */
function masked({ path, before, after }: Difference): Difference {
  if (!path.startsWith('transport.env')) return { path, before, after };
  const hide = (value: unknown) => (value === undefined ? undefined : '[hidden]');
  return { path, before: hide(before), after: hide(after) };
}

export function objectsAfter(steps: readonly Step[], stored: Stored): Map<string, ObjectManifest> {
  const objects = new Map([...stored.objects].map(([key, { manifest }]) => [key, manifest]));
  for (const { key, after, before } of steps) {
    if (after && after.kind !== 'Agent') objects.set(key, after);
    else if (!after && before?.kind !== 'Agent') objects.delete(key);
  }
  return objects;
}

const KEYS = 8;

export function checkSteps(steps: readonly Step[], stored: Stored): void {
  const problems: ManifestProblem[] = [];
  for (const { before, after } of steps) {
    if (after?.kind === 'Agent' && !before && stored.objects.get(`Person/${after.owner}`)?.person?.departed)
      problems.push(problemOf(after)('owner', `${after.owner} has left. An agent is owned by somebody who is here.`));
    if (after?.kind === 'Agent' && after.keys.length > KEYS)
      problems.push(
        problemOf(after)(
          'keys',
          `It would have ${after.keys.length} keys, and ${KEYS} are the most. Remove one that was enrolled before.`,
        ),
      );
  }
  if (problems.length > 0) throw invalidManifests(problems);
}
