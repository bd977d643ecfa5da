import type { Lifecycle, Task } from '@gatehouse/protocol';
import { canonicalJson, digestJson, GatehouseError, type Json } from '../platform/index.ts';
import type { DatabaseTransaction, Tables } from '../storage/index.ts';
import { operations, refusedTransition, transitions } from './agents.ts';
import { inChunks } from './chunks.ts';
import { type Context, emptyChangeSet, flush, lines, raise, showOwn } from './context.ts';
import { checkParameters, mayStart, parseDetails, RUNNING_TASKS_PER_AGENT, type StartDetails } from './may-start.ts';
import type { ObjectManifest } from './objects.ts';
import { readObjects } from './snapshot.ts';
import { endTasksOf, fromTaskRow, toTaskRow } from './task-rows.ts';
import { inWords, newTask } from './tasks.ts';

// Many agents or tasks in one request: all of it or nothing, a record for each, in a handful of statements. What can't be done says
// what is wrong with which entry.

const ROWS_PER_INSERT = 500;

/** Moves agents to a state of their life; those that are there already stay as they are. Gives the names that were moved. */
export async function setAgentStates(
  context: Context,
  names: readonly string[],
  state: Lifecycle,
  by: string,
): Promise<string[]> {
  const wanted = [...new Set(names)];
  const { moved, changes } = await context.storage.transaction(async (transaction) => {
    const changes = emptyChangeSet();
    const now = context.clock.now();
    const rows = await inChunks(wanted, (some) =>
      transaction
        .selectFrom('agents')
        .select(['name', 'state', 'environment', 'killed_at'])
        .where('name', 'in', some)
        .execute(),
    );
    const problems = problemsOfStates(wanted, rows, state);
    if (problems.length > 0) throw refusedEntries('conflict', 'agents.refused', problems);
    const moving = rows.filter((row) => row.state !== state);
    const moved = moving.map(({ name }) => name);
    await inChunks(moved, async (some) => {
      await transaction
        .updateTable('agents')
        .set((eb) => ({
          state,
          epoch: eb('epoch', '+', 1),
          updated_at: now,
          ...(state === 'active' && { killed_at: null }),
        }))
        .where('name', 'in', some)
        .execute();
      return [];
    });
    for (const { name, state: before, environment, killed_at } of moving) {
      raise(changes, `agent:${name}`);
      changes.records.push({
        operation: operations[state],
        by,
        agent: name,
        environment,
        changes: [
          `state: ${before} → ${state}`,
          ...(killed_at !== null && state === 'active' ? ['no longer killed'] : []),
        ],
      });
    }
    if (state === 'retired') await endTasksOf(transaction, { agents: moved }, 'ended', now, changes);
    await flush(context, transaction, changes);
    return { moved, changes };
  });
  await showOwn(context, changes);
  return moved;
}

function problemsOfStates(
  names: readonly string[],
  rows: readonly Pick<Tables['agents'], 'name' | 'state'>[],
  state: Lifecycle,
): EntryProblem[] {
  const found = new Map(rows.map((row) => [row.name, row.state as Lifecycle]));
  return names.flatMap((name, entry) => {
    const before = found.get(name);
    if (before === undefined) return [{ entry, problem: `There is no agent "${name}".` }];
    if (before === state || transitions[before].includes(state)) return [];
    return [{ entry, problem: refusedTransition(name, before, state).message }];
  });
}

export interface StartRequest {
  agent: string;
  details: StartDetails;
}

/**
 * Starts tasks on behalf of whoever starts them (`by`), who stands in each record and vouches for what is declared. With
 * `idempotencyKey` a request that was answered within a day is answered the same again and starts nothing.
 */
export async function startTasks(
  context: Context,
  given: readonly StartRequest[],
  by: string,
  idempotencyKey?: string,
): Promise<Task[]> {
  const requests = given.map(({ agent, details }) => ({ agent, details: parseDetails(details) }));
  return context.storage.transaction(async (transaction) => {
    const now = context.clock.now();
    const digest = digestJson(requests as unknown as Json);
    const known = idempotencyKey && (await answered(transaction, idempotencyKey, by, digest, now));
    if (known) return readTasks(transaction, known, now);

    const grounds = await readGrounds(transaction, requests, now);
    const problems: EntryProblem[] = [];
    const tasks = requests.flatMap(({ agent, details }, entry) => {
      try {
        const { row, objects, running } = grounds(agent);
        const blueprint = objects.get(`Blueprint/${row?.blueprint}`);
        const wanted = objects.get(`Template/${details.template}`);
        const { environment, template } = mayStart(agent, row, blueprint, wanted, details.template);
        checkParameters(template, details.parameters);
        running.count++;
        if (running.count > RUNNING_TASKS_PER_AGENT)
          throw new GatehouseError(
            'too-many',
            'task.too-many',
            `The agent "${agent}" would have more than ${RUNNING_TASKS_PER_AGENT} running tasks. End those that are done.`,
          );
        // Who starts an agent's task has written what it says.
        return [{ ...newTask({ agent, environment, details, template, now }), vouchedBy: by }];
      } catch (error) {
        if (!(error instanceof GatehouseError) || error.status >= 500) throw error;
        problems.push({ entry, problem: error.message });
        return [];
      }
    });
    if (problems.length > 0) throw refusedEntries('bad-request', 'tasks.refused', problems);
    for (let at = 0; at < tasks.length; at += ROWS_PER_INSERT)
      await transaction
        .insertInto('tasks')
        .values(tasks.slice(at, at + ROWS_PER_INSERT).map(toTaskRow))
        .execute();
    if (tasks.length > 0)
      await context.recordChange(
        transaction,
        ...tasks.map((task) => ({
          operation: 'task.start',
          by,
          agent: task.agent,
          task: task.id,
          environment: task.environment,
          changes: lines(inWords(task)),
          detail: task.intent,
        })),
      );
    if (idempotencyKey)
      await remember(
        transaction,
        idempotencyKey,
        by,
        digest,
        tasks.map(({ id }) => id),
        now,
      );
    return tasks;
  });
}

/** Ends tasks; those that have ended stay as they are. Gives the ids of those that this call has ended. */
export async function endTasks(context: Context, ids: readonly string[], by: string): Promise<string[]> {
  const wanted = [...new Set(ids)];
  const { ended, changes } = await context.storage.transaction(async (transaction) => {
    const changes = emptyChangeSet();
    const now = context.clock.now();
    const rows = await inChunks(wanted, (some) =>
      transaction
        .selectFrom('tasks')
        .select(['id', 'agent', 'environment', 'state', 'expires_at'])
        .where('id', 'in', some)
        .execute(),
    );
    const found = new Set(rows.map(({ id }) => id));
    const problems = wanted.flatMap((id, entry) =>
      found.has(id) ? [] : [{ entry, problem: `There is no task "${id}".` }],
    );
    if (problems.length > 0) throw refusedEntries('not-found', 'tasks.unknown', problems);
    const running = rows.filter(({ state }) => state === 'active');
    await endTasksOf(transaction, { ids: running.map(({ id }) => id) }, 'ended', now, changes);
    for (const row of running) {
      changes.records.push({
        operation: 'task.end',
        by,
        agent: row.agent,
        task: row.id,
        environment: row.environment,
        changes: [row.expires_at <= now ? 'ended; its time was over before' : 'ended'],
      });
    }
    await flush(context, transaction, changes);
    return { ended: running.map(({ id }) => id), changes };
  });
  await showOwn(context, changes);
  return ended;
}

interface Grounds {
  row: Pick<Tables['agents'], 'state' | 'killed_at' | 'environment' | 'blueprint' | 'owner'> | undefined;
  objects: ReadonlyMap<string, ObjectManifest>;
  running: { count: number };
}

/** What decides whether these agents may start these tasks, read for all of them at once. */
async function readGrounds(
  transaction: DatabaseTransaction,
  requests: readonly StartRequest[],
  now: number,
): Promise<(agent: string) => Grounds> {
  const names = new Set(requests.map(({ agent }) => agent));
  const rows = await inChunks(names, (some) =>
    transaction
      .selectFrom('agents')
      .select(['name', 'state', 'killed_at', 'environment', 'blueprint', 'owner'])
      .where('name', 'in', some)
      .execute(),
  );
  const counts = await inChunks(names, (some) =>
    transaction
      .selectFrom('tasks')
      .select(({ fn }) => ['agent', fn.countAll<number>().as('count')])
      .where('agent', 'in', some)
      .where('state', '=', 'active')
      .where('expires_at', '>', now)
      .groupBy('agent')
      .execute(),
  );
  const keys = new Set([
    ...rows.map(({ blueprint }) => `Blueprint/${blueprint}`),
    ...requests.map(({ details }) => `Template/${details.template}`),
  ]);
  const objects = await readObjects(transaction, keys);
  const byName = new Map(rows.map((row) => [row.name, row]));
  const running = new Map(counts.map(({ agent, count }) => [agent, { count: Number(count) }]));
  return (agent) => {
    const count = running.get(agent) ?? { count: 0 };
    running.set(agent, count);
    return { row: byName.get(agent), objects, running: count };
  };
}

const DAY_MS = 86_400_000;

async function answered(
  transaction: DatabaseTransaction,
  key: string,
  caller: string,
  digest: string,
  now: number,
): Promise<string[] | undefined> {
  await transaction.deleteFrom('idempotency_keys').where('expires_at', '<=', now).execute();
  const row = await transaction
    .selectFrom('idempotency_keys')
    .selectAll()
    .where('caller', '=', caller)
    .where('key', '=', key)
    .executeTakeFirst();
  if (!row) return undefined;
  if (row.digest !== digest)
    throw new GatehouseError(
      'conflict',
      'idempotency.differs',
      'This idempotency key was used for another request. Send a new key with a new request.',
    );
  return JSON.parse(row.answer) as string[];
}

async function remember(
  transaction: DatabaseTransaction,
  key: string,
  caller: string,
  digest: string,
  ids: string[],
  now: number,
): Promise<void> {
  await transaction
    .insertInto('idempotency_keys')
    .values({ key, caller, digest, answer: canonicalJson(ids), expires_at: now + DAY_MS })
    .execute();
}

async function readTasks(transaction: DatabaseTransaction, ids: string[], now: number): Promise<Task[]> {
  const rows = await inChunks(ids, (some) =>
    transaction.selectFrom('tasks').selectAll().where('id', 'in', some).execute(),
  );
  const byId = new Map(rows.map((row) => [row.id, fromTaskRow(row, now)]));
  return ids.flatMap((id) => byId.get(id) ?? []);
}

interface EntryProblem {
  entry: number;
  problem: string;
}

const SHOWN = 5;

function refusedEntries(
  kind: ConstructorParameters<typeof GatehouseError>[0],
  code: string,
  problems: EntryProblem[],
): GatehouseError {
  const shown = problems.slice(0, SHOWN).map(({ entry, problem }) => `Entry ${entry}: ${problem}`);
  if (problems.length > SHOWN) shown.push(`… and ${problems.length - SHOWN} more.`);
  return new GatehouseError(kind, code, `Nothing was changed. ${shown.join(' ')}`, {
    extra: { problems: problems.slice(0, 200) },
  });
}
