import {
  type Delegation,
  delegationBodies,
  type NewDelegation,
  type Task,
  type TaskDetails,
} from '@gatehouse/protocol';
import { type Clock, canonicalJson, GatehouseError, newId } from '../../platform/index.ts';
import { type Agent, narrowedBy, type Registry, type TaskGrounds } from '../../registry/index.ts';
import type { Database, DatabaseTransaction, RecordChange, Storage } from '../../storage/index.ts';
import { delegationLimits } from './limits.ts';
import { fromDelegationRow } from './rows.ts';

const DAY_MS = 86_400_000;

type StartDetails = Exclude<TaskDetails, { task: string }>;

export interface DelegationsDependencies {
  storage: Storage;
  registry: Registry;
  recordChange: RecordChange;
  clock: Clock;
}

/** Where the person said yes. */
export type Via = 'console' | 'consent';

/** Standing delegations (law 5): who lets which agent do what, until when. */
export interface Delegations {
  /**
   * `user` is the signed-in person whose own it is; nobody delegates for another. `via` says where they said yes. A delegation adds
   * nothing to what the agent or the person may do: both are asked at each call.
   */
  create(user: string, wanted: NewDelegation, via: Via): Promise<Delegation>;
  /** The same as part of a transaction of the caller's, who has checked what is `wanted`. */
  createWithin(transaction: DatabaseTransaction, user: string, wanted: NewDelegation, via: Via): Promise<Delegation>;
  get(id: string): Promise<Delegation | undefined>;
  /** Newest first. With `agents`, those of these agents and, with `user`, theirs. */
  list(filter: {
    user?: string;
    agent?: string;
    visibleTo?: { user: string; agents: string[] };
    before?: string;
    limit: number;
  }): Promise<Delegation[]>;
  /** Ends it and every task that rests on it, on every replica, before it resolves. */
  revoke(id: string, by: string): Promise<Delegation>;
  /** Part of a departure: all of a person's that still stand, with the tasks that rest on them. Says how many. */
  revokeAll(transaction: DatabaseTransaction, user: string, by: string): Promise<number>;
  /** Everybody of whom one stands. */
  givers(): Promise<string[]>;
  /** The person has looked at it and lets it stand. */
  review(id: string, user: string): Promise<Delegation>;
  /** A task of this agent for the person of the delegation. `more` only ever narrows. */
  startTask(
    agent: Agent,
    details: StartDetails & { delegation: string },
    more?: Pick<TaskGrounds, 'narrowing' | 'expiresAt'>,
  ): Promise<Task>;
  /** The newest one in force under which this agent may start this for this person; with `delegation`, that one or none. */
  standing(user: string, agent: string, details: StartDetails): Promise<Delegation | undefined>;
}

export function createDelegations({ storage, registry, recordChange, clock }: DelegationsDependencies): Delegations {
  const read = async (database: Database | DatabaseTransaction, id: string): Promise<Delegation | undefined> => {
    const row = await database.selectFrom('delegations').selectAll().where('id', '=', id).executeTakeFirst();
    return row && fromDelegationRow(row, clock.now());
  };
  const find = async (database: Database | DatabaseTransaction, id: string): Promise<Delegation> => {
    const found = await read(database, id);
    if (found) return found;
    throw new GatehouseError('not-found', 'delegation.unknown', `There is no delegation "${id.slice(0, 64)}".`);
  };

  async function end(
    transaction: DatabaseTransaction,
    { id, user, agent }: Pick<Delegation, 'id' | 'user' | 'agent'>,
    by: string,
  ): Promise<void> {
    await transaction
      .updateTable('delegations')
      .set({ revoked_at: clock.now(), revoked_by: by })
      .where('id', '=', id)
      .execute();
    const ended = await registry.endTasks(transaction, { delegation: id }, by);
    await recordChange(transaction, {
      operation: 'delegation.revoke',
      by,
      agent,
      changes: [`delegation ${id} of ${user} to ${agent} revoked; ${ended} running tasks ended`],
    });
  }

  async function checkRoom(transaction: DatabaseTransaction, user: string, now: number): Promise<void> {
    const last = await transaction
      .selectFrom('delegations')
      .select('id')
      .where('user_email', '=', user)
      .where('revoked_at', 'is', null)
      .where('expires_at', '>', now)
      .offset(delegationLimits.perPerson - 1)
      .limit(1)
      .executeTakeFirst();
    if (last)
      throw new GatehouseError(
        'too-many',
        'delegation.too-many',
        `You have ${delegationLimits.perPerson} delegations, which are the most. Revoke those that are not used.`,
      );
  }

  async function createWithin(
    transaction: DatabaseTransaction,
    user: string,
    wanted: NewDelegation,
    via: Via,
  ): Promise<Delegation> {
    checkWanted(registry, user, wanted);
    const { agent, template, parameters, tools, taskTtlSeconds, maxTasksPerDay, days } = wanted;
    const now = clock.now();
    await checkRoom(transaction, user, now);
    const expiresAt = now + Math.min(days, delegationLimits.lifeDays) * DAY_MS;
    const row = {
      id: newId('dlg', now),
      user_email: user,
      agent,
      template,
      parameters: canonicalJson(parameters),
      tools: tools ? JSON.stringify(tools) : null,
      max_tasks_per_day: maxTasksPerDay ?? null,
      created_at: now,
      via,
      expires_at: expiresAt,
      review_due_at: reviewDue(now, expiresAt),
      reviewed_at: null,
      revoked_at: null,
      revoked_by: null,
      used: 0,
      last_used_at: null,
      task_ttl_seconds: taskTtlSeconds ?? null,
    };
    await transaction.insertInto('delegations').values(row).execute();
    await recordChange(transaction, {
      operation: 'delegation.create',
      by: `person:${user}`,
      agent,
      changes: [
        `delegation ${row.id}: ${agent} may act for ${user} under the template ${template}, via ${via}`,
        `parameters ${row.parameters}; tools ${inWords(tools)}; ${maxTasksPerDay ?? 'any number of'} tasks per day, each for ${taskTtlSeconds === undefined ? 'as long as its template says' : `at most ${taskTtlSeconds} s`}`,
        `until ${new Date(expiresAt).toISOString()}`,
      ],
    });
    return fromDelegationRow(row, now);
  }

  return {
    create(user, given, via) {
      const wanted = delegationBodies.create.parse(given);
      return storage.transaction((transaction) => createWithin(transaction, user, wanted, via));
    },

    createWithin,

    get: (id) => read(storage.db, id),

    async list({ user, agent, visibleTo, before, limit }) {
      let query = storage.db.selectFrom('delegations').selectAll().orderBy('id', 'desc').limit(limit);
      if (user !== undefined) query = query.where('user_email', '=', user);
      if (agent !== undefined) query = query.where('agent', '=', agent);
      if (before !== undefined) query = query.where('id', '<', before);
      if (visibleTo)
        query = query.where((where) =>
          where.or([
            where('user_email', '=', visibleTo.user),
            ...(visibleTo.agents.length > 0 ? [where('agent', 'in', visibleTo.agents)] : []),
          ]),
        );
      return (await query.execute()).map((row) => fromDelegationRow(row, clock.now()));
    },

    async revoke(id, by) {
      const revoked = await storage.transaction(async (transaction) => {
        const found = await find(transaction, id);
        if (found.state === 'revoked') return found;
        await end(transaction, found, by);
        return find(transaction, id);
      });
      await storage.feed.waitForAll(await storage.feed.head());
      return revoked;
    },

    async revokeAll(transaction, user, by) {
      const rows = await transaction
        .selectFrom('delegations')
        .select(['id', 'agent', 'user_email as user'])
        .where('user_email', '=', user)
        .where('revoked_at', 'is', null)
        .where('expires_at', '>', clock.now())
        .orderBy('id')
        .execute();
      for (const row of rows) await end(transaction, row, by);
      return rows.length;
    },

    async givers() {
      const rows = await storage.db
        .selectFrom('delegations')
        .select('user_email')
        .distinct()
        .where('revoked_at', 'is', null)
        .where('expires_at', '>', clock.now())
        .execute();
      return rows.map(({ user_email }) => user_email);
    },

    review: (id, user) =>
      storage.transaction(async (transaction) => {
        const found = await find(transaction, id);
        if (found.user !== user) throw notYours(id);
        if (found.state === 'revoked' || found.state === 'expired') throw over(found);
        const now = clock.now();
        await transaction
          .updateTable('delegations')
          .set({ reviewed_at: now, review_due_at: reviewDue(now, found.expiresAt) })
          .where('id', '=', id)
          .execute();
        await recordChange(transaction, {
          operation: 'delegation.review',
          by: `person:${user}`,
          agent: found.agent,
          changes: [`delegation ${id} to ${found.agent} reviewed: it stands`],
        });
        return find(transaction, id);
      }),

    async standing(user, agent, { delegation, template, parameters }) {
      const rows = await storage.db
        .selectFrom('delegations')
        .selectAll()
        .where('user_email', '=', user)
        .where('agent', '=', agent)
        .where('template', '=', template)
        .where('revoked_at', 'is', null)
        .where('expires_at', '>', clock.now())
        .orderBy('id', 'desc')
        .limit(delegationLimits.perPerson)
        .execute();
      return rows
        .map((row) => fromDelegationRow(row, clock.now()))
        .find(
          (each) =>
            each.state === 'active' &&
            (delegation === undefined || each.id === delegation) &&
            differingParameter(each, parameters) === undefined,
        );
    },

    async startTask(agent, details, more = {}) {
      const known = await read(storage.db, details.delegation);
      // Of somebody else's delegation an agent hears what it hears of none.
      if (known?.agent !== agent.name)
        throw new GatehouseError(
          'not-found',
          'delegation.unknown',
          `Agent ${agent.name} has no delegation ${details.delegation}. The person it should act for makes one in the console.`,
        );
      const narrowing = narrowedBy(known.tools && { tools: known.tools }, more.narrowing);
      return registry.startTask(agent.name, details, {
        user: known.user,
        delegation: known.id,
        expiresAt: Math.min(
          known.expiresAt,
          more.expiresAt ?? Number.MAX_SAFE_INTEGER,
          known.taskTtlSeconds === null ? Number.MAX_SAFE_INTEGER : clock.now() + known.taskTtlSeconds * 1000,
        ),
        ...(narrowing && { narrowing }),
        // Read again where the task is written: a revocation that has returned has ended all that rests on it.
        async within(transaction, task) {
          const current = await find(transaction, known.id);
          if (current.state !== 'active') throw over(current);
          checkFits(current, task);
          await checkDay(transaction, current, task);
          await transaction
            .updateTable('delegations')
            .set((set) => ({ used: set('used', '+', 1), last_used_at: task.startedAt }))
            .where('id', '=', current.id)
            .execute();
        },
      });
    },
  };
}

const reviewDue = (now: number, expiresAt: number) =>
  Math.min(now + delegationLimits.reviewEveryDays * DAY_MS, expiresAt);

/** Whoever can't do this must be told when they delegate, and not when the agent fails at night. */
function checkWanted(registry: Registry, user: string, { agent, template, parameters, tools }: NewDelegation): void {
  const { agents, blueprints, templates, people } = registry.snapshot();
  const to = agents.get(agent);
  const declared = templates.get(template);
  const invalid = (code: string, detail: string) => new GatehouseError('bad-request', code, detail);
  if (!people.has(user)) throw invalid('delegation.person', `There is no person "${user}" in this workspace.`);
  if (!to || to.state === 'retired')
    throw invalid('delegation.agent', `There is no agent "${agent}" that could act for you.`);
  const allowed = blueprints.get(to.manifest.blueprint)?.templates ?? [];
  if (!declared || !allowed.includes(template))
    throw invalid(
      'delegation.template',
      `The agent "${agent}" starts no tasks under the template "${template}". It may under ${allowed.join(', ') || 'none'}.`,
    );
  for (const [name, value] of Object.entries(parameters)) {
    const parameter = Object.hasOwn(declared.parameters, name) ? declared.parameters[name] : undefined;
    const fits =
      parameter && (parameter.type === 'integer' ? Number.isSafeInteger(value) : typeof value === parameter.type);
    if (!fits)
      throw invalid(
        'delegation.parameters',
        `"${name.slice(0, 100)}" is no parameter of the template "${template}", or of another type.`,
      );
  }
  if (tools && new Set(tools).size !== tools.length) throw invalid('delegation.tools', 'A tool is there twice.');
}

/** Names of tools for a record, which has only so much room. */
const inWords = (tools: string[] | undefined): string =>
  tools === undefined
    ? 'all that it allows'
    : `${tools.slice(0, 200).join(', ')}${tools.length > 200 ? ` … (${tools.length})` : ''}`;

/**
 * The first parameter that is not as it must be. Who consented has consented to these values, so that one which was left out then is not
 * for the agent to choose later.
 */
function differingParameter(
  { parameters, via }: Pick<Delegation, 'parameters' | 'via'>,
  given: Task['parameters'],
): string | undefined {
  const all = via === 'consent' ? [...Object.keys(parameters), ...Object.keys(given)] : Object.keys(parameters);
  return all.find((name) => given[name] !== parameters[name]);
}

function checkFits(delegation: Delegation, task: Task): void {
  const { id, template, parameters } = delegation;
  const differs = differingParameter(delegation, task.parameters);
  if (task.template === template && differs === undefined) return;
  const wanted =
    differs === undefined
      ? `the template is ${template}`
      : `the parameter "${differs}" ${Object.hasOwn(parameters, differs) ? `is ${JSON.stringify(parameters[differs])}` : 'is not given'}`;
  throw new GatehouseError(
    'forbidden',
    'delegation.bounds',
    `The delegation ${id} is for tasks in which ${wanted}. Start such a one, or ask its person for another delegation.`,
  );
}

async function checkDay(
  transaction: DatabaseTransaction,
  { id, maxTasksPerDay }: Delegation,
  task: Task,
): Promise<void> {
  if (maxTasksPerDay === null) return;
  const { count } = await transaction
    .selectFrom('tasks')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('delegation', '=', id)
    .where('parent', 'is', null)
    .where('started_at', '>', task.startedAt - DAY_MS)
    .executeTakeFirstOrThrow();
  // This one is counted already.
  if (Number(count) <= maxTasksPerDay) return;
  throw new GatehouseError(
    'too-many',
    'delegation.spent',
    `Under the delegation ${id} ${maxTasksPerDay} tasks may be started in 24 hours, and they were. Try again later.`,
  );
}

function over({ id, state, user }: Delegation): GatehouseError {
  const words = {
    active: 'is in force',
    revoked: 'was revoked',
    expired: 'has run out',
    'review-due': 'waits for its person to look at it again',
  };
  return new GatehouseError('gone', `delegation.${state}`, `The delegation ${id} ${words[state]}. Ask ${user}.`);
}

const notYours = (id: string) =>
  new GatehouseError(
    'forbidden',
    'delegation.not-yours',
    `Only the person who made the delegation ${id} can review it.`,
  );
