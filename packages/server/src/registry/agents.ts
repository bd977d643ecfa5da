import type { AgentManifest, Lifecycle } from '@gatehouse/protocol';
import { GatehouseError } from '../platform/index.ts';
import type { DatabaseTransaction, Tables } from '../storage/index.ts';
import { changeKeys, keyTaken } from './agent-keys.ts';
import { columnsOf } from './apply.ts';
import { announce, type ChangeSet, type Context, emptyChangeSet, flush, raise, showOwn } from './context.ts';
import { parseKey, thumbprint } from './keys.ts';
import { agentManifestOf } from './plan.ts';
import { agentFromRow } from './snapshot.ts';
import { endTasksOf } from './task-rows.ts';
import type { Agent } from './types.ts';

const KEYS = 8;

export async function addAgentKey(context: Context, name: string, given: unknown, by: string): Promise<Agent> {
  const key = parseKey(given);
  const print = thumbprint(key);
  refuseHeldByAnother(context, name, print);
  return changeAgent(context, name, by, (row, manifest) => {
    if (manifest.keys.some((each) => thumbprint(each) === print)) return null;
    refuseRetired(row);
    refuseTooMany(name, manifest);
    return {
      manifest: { ...manifest, keys: [...manifest.keys, key] },
      operation: 'agent.add-key',
      change: `key ${print} added`,
    };
  });
}

/** How a key that an agent brought itself came in goes into the record. See `Registry.enrolAgentKey`. */
export async function enrolAgentKey(
  context: Context,
  name: string,
  given: unknown,
  { by, how, within }: { by: string; how: string[]; within?: (transaction: DatabaseTransaction) => Promise<void> },
): Promise<Agent> {
  const key = parseKey(given);
  const print = thumbprint(key);
  refuseHeldByAnother(context, name, print);
  const { agent, changes } = await context.storage.transaction(async (transaction) => {
    const changes = emptyChangeSet();
    const row = await readAgent(transaction, name);
    if (row.state !== 'active')
      throw new GatehouseError(
        'forbidden',
        row.killed_at === null ? `agent.${row.state}` : 'agent.killed',
        `The agent "${name}" ${row.killed_at === null ? `is ${row.state}` : 'was killed'} and enrols no key. Ask its owner ${row.owner}.`,
      );
    await within?.(transaction);
    const manifest = agentManifestOf(row);
    const isNew = !manifest.keys.some((each) => thumbprint(each) === print);
    if (isNew) refuseTooMany(name, manifest);
    const keys = isNew ? [...manifest.keys, key] : manifest.keys;
    const after = isNew ? { ...row, ...columnsOf({ ...manifest, keys }, context.clock.now()) } : row;
    await changeKeys(transaction, [{ agent: name, before: manifest.keys, after: keys }]);
    await transaction.updateTable('agents').set({ body: after.body }).where('name', '=', name).execute();
    announce(changes, 'agent', name);
    const change = isNew ? `key ${print} enrolled` : `key ${print} enrolled again`;
    changes.records.push({
      operation: 'agent.enrol',
      by,
      agent: name,
      environment: row.environment,
      changes: [change, ...how],
    });
    await flush(context, transaction, changes);
    return { agent: agentFromRow(after, context.trustDomain), changes };
  });
  await showOwn(context, changes);
  return agent;
}

function refuseHeldByAnother(context: Context, name: string, print: string): void {
  const holder = context.keeper.keyHolder(print);
  if (holder !== undefined && holder !== name) throw keyTaken();
}

function refuseTooMany(name: string, manifest: AgentManifest): void {
  if (manifest.keys.length >= KEYS)
    throw new GatehouseError(
      'too-many',
      'agent.too-many-keys',
      `The agent "${name}" has ${KEYS} keys, which are the most. Remove one that is no longer used.`,
    );
}

export async function removeAgentKey(context: Context, name: string, print: string, by: string): Promise<Agent> {
  return changeAgent(context, name, by, (_row, manifest) => {
    const keys = manifest.keys.filter((key) => thumbprint(key) !== print);
    if (keys.length === manifest.keys.length)
      throw new GatehouseError(
        'not-found',
        'agent.key-unknown',
        `The agent "${name}" has no key ${print.slice(0, 64)}.`,
      );
    return { manifest: { ...manifest, keys }, operation: 'agent.remove-key', change: `key ${print} removed` };
  });
}

/** A change of keys: every token made before is refused from here on. */
async function changeAgent(
  context: Context,
  name: string,
  by: string,
  work: (
    row: Tables['agents'],
    manifest: AgentManifest,
  ) => { manifest: AgentManifest; operation: string; change: string } | null,
): Promise<Agent> {
  const { agent, changes } = await context.storage.transaction(async (transaction) => {
    const changes = emptyChangeSet();
    const row = await readAgent(transaction, name);
    const before = agentManifestOf(row);
    const made = work(row, before);
    if (!made) return { agent: agentFromRow(row, context.trustDomain), changes };
    const after: Tables['agents'] = {
      ...row,
      ...columnsOf(made.manifest, context.clock.now()),
      epoch: row.epoch + 1,
    };
    await changeKeys(transaction, [{ agent: name, before: before.keys, after: made.manifest.keys }]);
    await writeAgent(transaction, after, changes);
    changes.records.push({
      operation: made.operation,
      by,
      agent: name,
      environment: row.environment,
      changes: [made.change],
    });
    await flush(context, transaction, changes);
    return { agent: agentFromRow(after, context.trustDomain), changes };
  });
  await showOwn(context, changes);
  return agent;
}

export const transitions: Record<Lifecycle, Lifecycle[]> = {
  draft: ['active', 'suspended', 'retired'],
  active: ['suspended', 'retired'],
  suspended: ['active', 'retired'],
  retired: [],
};

export const operations: Record<Lifecycle, string> = {
  draft: 'agent.draft',
  active: 'agent.activate',
  suspended: 'agent.suspend',
  retired: 'agent.retire',
};

export async function setAgentState(
  context: Context,
  name: string,
  state: Lifecycle,
  by: string,
  options: { killed?: boolean } = {},
): Promise<{ agent: Agent; change: number; endedTasks: number }> {
  const { agent, changes, endedTasks } = await context.storage.transaction((transaction) =>
    setStateWithin(context, transaction, name, state, by, options.killed ?? false),
  );
  await showOwn(context, changes);
  return { agent, change: await context.storage.feed.head(), endedTasks };
}

/** Part of a larger transaction: its place on the feed is known, and it can be shown, only after the commit. */
export async function setAgentStateWithin(
  context: Context,
  name: string,
  state: Lifecycle,
  by: string,
  options: { killed?: boolean; within: DatabaseTransaction },
): Promise<{ agent: Agent; change: null; endedTasks: number }> {
  const { agent, endedTasks } = await setStateWithin(context, options.within, name, state, by, options.killed ?? false);
  return { agent, change: null, endedTasks };
}

async function setStateWithin(
  context: Context,
  transaction: DatabaseTransaction,
  name: string,
  wanted: Lifecycle,
  by: string,
  killed: boolean,
): Promise<{ agent: Agent; changes: ChangeSet; endedTasks: number }> {
  const changes = emptyChangeSet();
  const now = context.clock.now();
  const row = await readAgent(transaction, name);
  const before = row.state as Lifecycle;
  // A kill always goes through: on a retired agent it ends what may be left of it.
  const state = killed && before === 'retired' ? before : wanted;
  if (killed && state === 'active')
    throw new GatehouseError('internal', 'agent.kill-state', 'A killed agent can only be suspended or retired.');
  if (state === before && !killed) {
    return { agent: agentFromRow(row, context.trustDomain), changes, endedTasks: 0 };
  }
  if (state !== before && !transitions[before].includes(state)) throw refusedTransition(name, before, state);
  const after: Tables['agents'] = {
    ...row,
    ...columnsOf({ ...agentManifestOf(row), state }, now),
    epoch: row.epoch + 1,
    killed_at: killed ? now : state === 'active' ? null : row.killed_at,
  };
  await writeAgent(transaction, after, changes);
  const ended =
    killed || state === 'retired'
      ? await endTasksOf(transaction, { agents: [name] }, killed ? 'killed' : 'ended', now, changes)
      : 0;
  changes.records.push({
    operation: operations[state],
    by,
    agent: name,
    environment: row.environment,
    changes: [
      `state: ${before} → ${state}`,
      ...(killed ? ['killed'] : []),
      ...(row.killed_at !== null && after.killed_at === null ? ['no longer killed'] : []),
      ...(ended > 0 ? [`${ended} running tasks ${killed ? 'killed' : 'ended'}`] : []),
    ],
  });
  await flush(context, transaction, changes);
  return { agent: agentFromRow(after, context.trustDomain), changes, endedTasks: ended };
}

export function refusedTransition(name: string, before: Lifecycle, state: Lifecycle): GatehouseError {
  const possible = transitions[before].join(' or ');
  return new GatehouseError(
    'conflict',
    'agent.transition',
    before === 'retired'
      ? `The agent "${name}" is retired for good. Register a new agent under another name.`
      : `The agent "${name}" is ${before} and can't become ${state}; it can become ${possible}.`,
  );
}

export async function readAgent(transaction: DatabaseTransaction, name: string): Promise<Tables['agents']> {
  const row = await transaction.selectFrom('agents').selectAll().where('name', '=', name).executeTakeFirst();
  if (!row)
    throw new GatehouseError(
      'not-found',
      'agent.unknown',
      `There is no agent "${name.slice(0, 64)}". Register it with a manifest first.`,
    );
  return row;
}

function refuseRetired(row: Tables['agents']): void {
  if (row.state === 'retired')
    throw new GatehouseError('conflict', 'agent.retired', `The agent "${row.name}" is retired and takes no new keys.`);
}

async function writeAgent(transaction: DatabaseTransaction, row: Tables['agents'], changes: ChangeSet): Promise<void> {
  const { name, ...columns } = row;
  await transaction.updateTable('agents').set(columns).where('name', '=', name).execute();
  raise(changes, `agent:${name}`);
}
