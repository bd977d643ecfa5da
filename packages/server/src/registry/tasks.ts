import type { Narrowing, Task, TemplateManifest } from '@gatehouse/protocol';
import { canonicalJson, limits, newId } from '../platform/index.ts';
import type { DatabaseTransaction } from '../storage/index.ts';
import { type Context, lines } from './context.ts';
import { handOn, refuseCycle } from './hand-on-task.ts';
import {
  checkMayStart,
  checkMayVouch,
  checkParameters,
  checkRunning,
  parseDetails,
  refused,
  requirePerson,
  type StartDetails,
} from './may-start.ts';
import { narrowedBy } from './narrowing.ts';
import { spiffeId } from './snapshot.ts';
import { fromTaskRow, toTaskRow } from './task-rows.ts';

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
