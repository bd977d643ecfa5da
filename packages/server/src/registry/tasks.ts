import {
  type Manifest,
  type Narrowing,
  type Task,
  type TaskDetails,
  type TemplateManifest,
  taskDetails,
} from '@gatehouse/protocol';
import { canonicalJson, GatehouseError, limits, newId } from '../platform/index.ts';
import type { DatabaseTransaction, Tables } from '../storage/index.ts';
import { type ChangeSet, type Context, emptyChangeSet, flush, lines, raise, showOwn } from './context.ts';
import { hiddenCharacter } from './hidden-characters.ts';
import { narrowedBy } from './narrowing.ts';
import { fromObjectRow } from './objects.ts';
import { spiffeId } from './snapshot.ts';
import { endTasksOf, fromTaskRow, toTaskRow } from './task-rows.ts';
import { activeWorkload } from './workloads.ts';

export type StartDetails = Exclude<TaskDetails, { task: string }>;

/** Running tasks of one agent: an agent that starts tasks in a loop must not fill the database. */
export const RUNNING_TASKS_PER_AGENT = 1_000;

/**
 * What is proven about a task, as opposed to what its agent declares. Whoever passes it has verified it. Of a task that is handed on
 * (`parent`) user, delegation and actors follow from the parent and can't be given.
 */
export interface TaskGrounds {
  user?: string;
  delegation?: string;
  parent?: string;
  narrowing?: Narrowing;
  /**
   * Who vouches for its intent and parameters (law 9): SPIFFE ID of the workload that started it, or `person:EMAIL` of whoever saw them and
   * said yes.
   */
  vouchedBy?: string;
  /** Milliseconds since the epoch; only ever shortens. */
  expiresAt?: number;
  /** Part of the transaction that starts the task: what must still hold then, and is counted with it. Throws to refuse. */
  within?: (transaction: DatabaseTransaction, task: Task) => Promise<void>;
}

export async function startTask(
  context: Context,
  agent: string,
  given: StartDetails,
  grounds: TaskGrounds = {},
): Promise<Task> {
  const details = parseDetails(given);
  if (details.delegation !== undefined && details.delegation !== grounds.delegation)
    throw refused(
      'forbidden',
      'task.delegation',
      'A standing delegation counts where an agent starts a task of its own (grant_type=client_credentials), and nowhere else.',
    );
  return context.tasks.started(() =>
    context.storage.transaction(async (transaction) => {
      const now = context.clock.now();
      const { environment, template } = await checkMayStart(transaction, agent, details.template);
      if (grounds.vouchedBy !== undefined && !grounds.vouchedBy.startsWith('person:'))
        await checkMayVouch(context, transaction, grounds.vouchedBy, { agent, environment });
      checkParameters(template, details.parameters);
      await checkRunning(transaction, agent, now);
      const handed =
        grounds.parent === undefined ? undefined : await handOn(context, transaction, grounds, environment);
      refuseCycle(agent, handed?.chain.map((each) => each.agent) ?? []);
      const plain = newTask({ agent, environment, details, template, now });
      const task: Task = {
        ...plain,
        user: handed ? handed.parent.user : (grounds.user ?? null),
        delegation: handed ? handed.parent.delegation : (grounds.delegation ?? null),
        parent: handed?.parent.id ?? null,
        actors: handed?.actors ?? [],
        narrowing: narrowedBy(plain.narrowing, grounds.narrowing),
        vouchedBy: grounds.vouchedBy ?? null,
        expiresAt: Math.min(
          plain.expiresAt,
          grounds.expiresAt ?? Number.MAX_SAFE_INTEGER,
          handed?.parent.expiresAt ?? Number.MAX_SAFE_INTEGER,
        ),
      };
      if (task.user !== null) await requirePerson(transaction, task.user);
      await transaction.insertInto('tasks').values(toTaskRow(task)).execute();
      for (const other of handed?.chain ?? [])
        await transaction.insertInto('task_actors').values({ agent: other.agent, task: task.id }).execute();
      if (handed) await context.handedOn?.(transaction, task, handed.chain);
      await grounds.within?.(transaction, task);
      await context.recordChange(transaction, {
        operation: 'task.start',
        by: spiffeId(context.trustDomain, environment, agent),
        agent,
        task: task.id,
        environment,
        changes: lines(inWords(task)),
        detail: task.intent,
      });
      return task;
    }),
  );
}

/** A task that rests on nothing but its agent's own permission. */
export function newTask({
  agent,
  environment,
  details,
  template,
  now,
}: {
  agent: string;
  environment: string;
  details: StartDetails;
  template: TemplateManifest;
  now: number;
}): Task {
  return {
    id: newId('tsk', now),
    agent,
    environment,
    template: template.name,
    parameters: details.parameters,
    intent: details.intent,
    onBehalfOf: details.on_behalf_of ?? null,
    requestedBy: details.requested_by ?? null,
    ticket: details.ticket ?? null,
    changeRequest: details.change_request ?? null,
    modelProvider: details.model_provider ?? null,
    model: details.model ?? null,
    user: null,
    delegation: null,
    parent: null,
    actors: [],
    narrowing: details.tools ? { tools: details.tools } : null,
    vouchedBy: null,
    suspended: null,
    fence: 0,
    state: 'active',
    startedAt: now,
    expiresAt: now + Math.min(template.ttlSeconds, limits.taskTtlSeconds) * 1_000,
  };
}

/** For the record. */
export const inWords = (task: Task): string[] => [...declared(task), ...proven(task)];

/** All of it as the agent says, which is why each line says so. */
function declared(task: Task): string[] {
  const facts: [string, string | null][] = [
    ['parameters', canonicalJson(task.parameters)],
    ['on_behalf_of', task.onBehalfOf],
    ['requested_by', task.requestedBy],
    ['ticket', task.ticket],
    ['change_request', task.changeRequest],
    ['model_provider', task.modelProvider],
    ['model', task.model],
  ];
  return [
    `template: ${task.template}`,
    ...facts.flatMap(([name, value]) => (value === null ? [] : [`${name} (declared): ${value}`])),
  ];
}

function proven(task: Task): string[] {
  const facts: [string, string | null][] = [
    ['user', task.user],
    ['delegation', task.delegation],
    ['parent', task.parent],
    ['actors', task.actors.length === 0 ? null : task.actors.map(({ sub }) => sub).join(' ← ')],
    ['vouched for by', task.vouchedBy],
    ['narrowed to', task.narrowing?.tools.join(', ') ?? null],
  ];
  return facts.flatMap(([name, value]) => (value === null ? [] : [`${name}: ${value}`]));
}

/**
 * The task that is handed on, read in the transaction that starts the next one: it and all that it was handed on from are running, and
 * each of their agents is active (laws 5, 6).
 */
async function handOn(
  context: Context,
  transaction: DatabaseTransaction,
  { parent: id, ...others }: TaskGrounds,
  environment: string,
): Promise<{ parent: Task; chain: Task[]; actors: Task['actors'] }> {
  if (others.user !== undefined || others.delegation !== undefined)
    throw refused(
      'internal',
      'task.grounds',
      'Of a task that is handed on, user and delegation are those of its parent.',
    );
  const parent = await readTask(context, transaction, id as string);
  if (parent?.state !== 'active')
    throw refused('gone', 'task.over', `Task ${id} is over, and a task that is over is not handed on.`);
  if (parent.suspended)
    throw refused('forbidden', 'task.suspended', `Task ${id} is suspended, and is not handed on until it may go on.`);
  if (parent.environment !== environment)
    throw refused(
      'forbidden',
      'task.environment',
      `Task ${id} runs in environment "${parent.environment}" and can't be handed on to "${environment}".`,
    );
  const chain = [parent];
  for (let at = parent; at.parent !== null; ) {
    const above = await readTask(context, transaction, at.parent);
    if (above?.state !== 'active' || above.suspended)
      throw refused('gone', 'task.over', `Task ${at.parent}, from which ${at.id} was handed on, is over or suspended.`);
    chain.push(above);
    at = above;
  }
  const agents = chain.map((each) => each.agent);
  // The new task's own agent is in the chain too.
  if (agents.length >= limits.actorChainDepth)
    throw refused(
      'bad-request',
      'task.chain-depth',
      `A task may have ${limits.actorChainDepth} agents in its chain. Let an agent nearer to its beginning do this.`,
    );
  const rows = await transaction.selectFrom('agents').select(['name', 'state']).where('name', 'in', agents).execute();
  const active = new Set(rows.filter(({ state }) => state === 'active').map(({ name }) => name));
  const stopped = agents.find((name) => !active.has(name));
  if (stopped !== undefined)
    throw refused('forbidden', 'agent.chain', `The agent "${stopped}", which is in the chain of ${id}, is not active.`);
  const self = { sub: spiffeId(context.trustDomain, parent.environment, parent.agent), profile: 'ai_agent' as const };
  return { parent, chain, actors: [self, ...parent.actors] };
}

async function readTask(context: Context, transaction: DatabaseTransaction, id: string): Promise<Task | undefined> {
  const row = await transaction.selectFrom('tasks').selectAll().where('id', '=', id).executeTakeFirst();
  return row && fromTaskRow(row, context.clock.now());
}

/** A chain is a line: an agent that stood in it twice could lengthen its own task's life, and hide who asked whom. */
function refuseCycle(agent: string, chain: string[]): void {
  if (!chain.includes(agent)) return;
  throw refused('bad-request', 'task.chain-cycle', `The agent "${agent}" is in the chain of this task already.`);
}

/** A foreign or former user counts for nothing (law 5). */
async function requirePerson(transaction: DatabaseTransaction, email: string): Promise<void> {
  const row = await transaction
    .selectFrom('objects')
    .select('body')
    .where('kind', '=', 'Person')
    .where('name', '=', email)
    .executeTakeFirst();
  if (!row || fromObjectRow(row).person?.departed)
    throw refused(
      'forbidden',
      'task.user-unknown',
      `There is no person "${email.slice(0, 254)}" in this workspace, so nobody can act for them.`,
    );
}

export function parseDetails(given: StartDetails): StartDetails {
  const parsed = taskDetails.options[1].safeParse(given);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue?.path.join('.');
  throw refused(
    'bad-request',
    'task.invalid',
    `The task can't be started: ${where ? `${where}: ` : ''}${issue?.message}.`,
  );
}

async function checkMayStart(
  transaction: DatabaseTransaction,
  agent: string,
  templateName: string,
): Promise<{ environment: string; template: TemplateManifest }> {
  const row = await transaction
    .selectFrom('agents as a')
    .leftJoin('objects as b', (join) => join.on('b.kind', '=', 'Blueprint').onRef('b.name', '=', 'a.blueprint'))
    .leftJoin('objects as t', (join) => join.on('t.kind', '=', 'Template').on('t.name', '=', templateName))
    .select([
      'a.state',
      'a.killed_at',
      'a.environment',
      'a.blueprint',
      'a.owner',
      'b.body as blueprint_body',
      't.body as template_body',
    ])
    .where('a.name', '=', agent)
    .executeTakeFirst();
  const read = (body: string | null | undefined) =>
    body === null || body === undefined ? undefined : fromObjectRow({ body }).manifest;
  return mayStart(agent, row, read(row?.blueprint_body), read(row?.template_body), templateName);
}

/** Throws with what to do next unless this agent may start a task under this template. */
export function mayStart(
  agent: string,
  row: Pick<Tables['agents'], 'state' | 'killed_at' | 'environment' | 'blueprint' | 'owner'> | undefined,
  blueprint: Manifest | undefined,
  template: Manifest | undefined,
  templateName: string,
): { environment: string; template: TemplateManifest } {
  if (!row) throw refused('not-found', 'agent.unknown', `There is no agent "${agent.slice(0, 64)}".`);
  if (row.killed_at !== null)
    throw refused('forbidden', 'agent.killed', `The agent "${agent}" was killed. Its owner ${row.owner} can say why.`);
  if (row.state !== 'active')
    throw refused(
      'forbidden',
      `agent.${row.state}`,
      `The agent "${agent}" is ${row.state}: ask its owner ${row.owner} to activate it.`,
    );
  const allowed = blueprint?.kind === 'Blueprint' ? blueprint.templates : [];
  if (!allowed.includes(templateName) || template?.kind !== 'Template') {
    const choice = allowed.length > 0 ? `It allows: ${allowed.join(', ')}.` : 'It allows none.';
    throw refused(
      'forbidden',
      'task.template-not-allowed',
      `The blueprint "${row.blueprint}" of this agent does not allow the template "${templateName}". ${choice}`,
    );
  }
  return { environment: row.environment, template };
}

/** The workload as it is now: one that was stopped meanwhile starts nothing. */
async function checkMayVouch(
  { trustDomain }: Context,
  transaction: DatabaseTransaction,
  vouchedBy: string,
  { agent, environment }: { agent: string; environment: string },
): Promise<void> {
  const workload = await activeWorkload(transaction, trustDomain, vouchedBy.slice(vouchedBy.lastIndexOf('/') + 1));
  const { starts, environment: own } = workload.manifest;
  if (workload.spiffeId === vouchedBy && starts.includes(agent) && environment === own) return;
  throw refused(
    'forbidden',
    'workload.may-not-start',
    `The workload "${workload.name}" may not start tasks of "${agent}": its manifest names those that it may, under \`starts\`.`,
  );
}

/** Parameters bind what policy permits, so they are exactly what the template declares: no more, no less, of no other type. */
export function checkParameters(template: TemplateManifest, parameters: StartDetails['parameters']): void {
  const problems: string[] = [];
  for (const [name, value] of Object.entries(parameters)) {
    const declaration = Object.hasOwn(template.parameters, name) ? template.parameters[name] : undefined;
    if (!declaration) problems.push(`"${name.slice(0, 100)}" is not a parameter`);
    else if (!hasType(value, declaration.type)) problems.push(`"${name}" must be of type ${declaration.type}`);
    else if (typeof value === 'string' && hiddenCharacter(value) !== undefined)
      problems.push(`"${name}" holds the hidden character ${hiddenCharacter(value)}`);
  }
  for (const [name, { required, type }] of Object.entries(template.parameters)) {
    if (required && !Object.hasOwn(parameters, name)) problems.push(`"${name}" (${type}) is missing`);
  }
  if (problems.length === 0) return;
  const expected = Object.entries(template.parameters).map(
    ([name, { type, required }]) => `${name}: ${type}${required ? '' : ' (optional)'}`,
  );
  throw refused(
    'bad-request',
    'task.parameters',
    `Parameters of the template "${template.name}": ${problems.slice(0, 5).join('; ')}. It takes ${expected.join(', ') || 'none'}.`,
  );
}

function hasType(value: string | number | boolean, type: 'string' | 'integer' | 'boolean'): boolean {
  return type === 'integer' ? Number.isSafeInteger(value) : typeof value === type;
}

async function checkRunning(transaction: DatabaseTransaction, agent: string, now: number): Promise<void> {
  const oldest = await transaction
    .selectFrom('tasks')
    .select('id')
    .where('agent', '=', agent)
    .where('state', '=', 'active')
    .where('expires_at', '>', now)
    .orderBy('started_at', 'desc')
    .offset(RUNNING_TASKS_PER_AGENT - 1)
    .limit(1)
    .executeTakeFirst();
  if (oldest)
    throw refused(
      'too-many',
      'task.too-many',
      `The agent "${agent}" has ${RUNNING_TASKS_PER_AGENT} running tasks, which are the most. End those that are done.`,
    );
}

function refused(kind: ConstructorParameters<typeof GatehouseError>[0], code: string, detail: string): GatehouseError {
  return new GatehouseError(kind, code, detail);
}

export async function findTask(context: Context, id: string): Promise<Task | undefined> {
  const now = context.clock.now();
  const known = context.tasks.get(id);
  if (known) return known.expiresAt <= now ? { ...known, state: 'ended' } : known;
  return context.tasks.through(async () => {
    const row = await context.storage.db.selectFrom('tasks').selectAll().where('id', '=', id).executeTakeFirst();
    return row && fromTaskRow(row, context.clock.now());
  });
}

/** Newest first; `before` is the id after which the page before ended. */
export async function listTasks(
  context: Context,
  filter: { agent?: string; state?: Task['state']; before?: string; limit: number },
): Promise<Task[]> {
  const now = context.clock.now();
  const { agent, state, before } = filter;
  let query = context.storage.db.selectFrom('tasks').selectAll().orderBy('id', 'desc').limit(filter.limit);
  if (agent !== undefined) query = query.where('agent', '=', agent);
  if (before !== undefined) query = query.where('id', '<', before);
  if (state === 'killed') query = query.where('state', '=', 'killed');
  if (state === 'active') query = query.where('state', '=', 'active').where('expires_at', '>', now);
  if (state === 'ended')
    query = query.where((eb) =>
      eb.or([eb('state', '=', 'ended'), eb.and([eb('state', '=', 'active'), eb('expires_at', '<=', now)])]),
    );
  return (await query.execute()).map((row) => fromTaskRow(row, now));
}

/** Ending what has ended says so again and writes nothing. As part of a larger transaction it is shown by the feed. */
export async function endTask(context: Context, id: string, by: string, within?: DatabaseTransaction): Promise<Task> {
  const work = (transaction: DatabaseTransaction) => endTaskIn(context, transaction, id, by);
  if (within) return (await work(within)).task;
  const { task, changes } = await context.storage.transaction(work);
  await showOwn(context, changes);
  return task;
}

async function endTaskIn(
  context: Context,
  transaction: DatabaseTransaction,
  id: string,
  by: string,
): Promise<{ task: Task; changes: ChangeSet }> {
  const changes = emptyChangeSet();
  const now = context.clock.now();
  const row = await transaction.selectFrom('tasks').selectAll().where('id', '=', id).executeTakeFirst();
  if (!row) throw refused('not-found', 'task.unknown', `There is no task "${id.slice(0, 64)}".`);
  if (row.state !== 'active') return { task: fromTaskRow(row, now), changes };
  await transaction.updateTable('tasks').set({ state: 'ended', ended_at: now }).where('id', '=', id).execute();
  raise(changes, `task:${id}`);
  const handedOn = await endTasksOf(transaction, { parent: id }, 'ended', now, changes);
  changes.records.push({
    operation: 'task.end',
    by,
    agent: row.agent,
    task: id,
    environment: row.environment,
    changes: [
      row.expires_at <= now ? 'ended; its time was over before' : 'ended',
      ...(handedOn > 0 ? [`${handedOn} tasks ended with it: they were handed on from it`] : []),
    ],
  });
  await flush(context, transaction, changes);
  return { task: fromTaskRow({ ...row, state: 'ended' }, now), changes };
}

/** Part of a larger transaction, like the end of a standing delegation; the feed shows it to every replica. */
export async function endTasks(
  context: Context,
  transaction: DatabaseTransaction,
  of: { delegation: string },
  by: string,
): Promise<number> {
  const changes = emptyChangeSet();
  const ended = await endTasksOf(transaction, of, 'ended', context.clock.now(), changes);
  if (ended > 0)
    changes.records.push({
      operation: 'task.end',
      by,
      changes: [`${ended} tasks ended: they rested on the delegation ${of.delegation}`],
    });
  await flush(context, transaction, changes);
  return ended;
}
