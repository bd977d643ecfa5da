import type { Approval } from '@gatehouse/protocol';
import { sql } from 'kysely';
import { type Clock, GatehouseError, type JsonObject, newId, Secret } from '../../../platform/index.ts';
import type { Database, DatabaseTransaction, Sealer, Storage, Tables } from '../../../storage/index.ts';
import type { UpstreamAnswer } from '../../upstream/types.ts';
import type { Call } from '../agent-side.ts';
import { doorLimits } from '../limits.ts';
import type { WaitingRows, WaitingTask, Whose } from './types.ts';

type Row = Tables['waiting_tasks'];

const fenceOf = (id: string) => `waiting:${id}`;
/** Of the fence of a task that waits: it is raised when the task is made, and when it is stopped or ends. */
const STANDS = 1;

/** With what it belongs to, so that a row that was given to another agent, task or address is none. */
const sealedAs = ({ id, agent, agent_epoch, task, view, era }: Omit<Row, 'sealed' | 'answer'>, what: string) =>
  `waiting-task:${JSON.stringify([id, agent, agent_epoch, task, view, era, what])}`;

export function createWaitingRows({
  storage,
  sealer,
  clock,
}: {
  storage: Storage;
  sealer: Sealer;
  clock: Clock;
}): WaitingRows {
  const seal = (row: Omit<Row, 'sealed' | 'answer'>, what: 'call' | 'answer', plain: JsonObject) =>
    sealer.seal(new Secret(JSON.stringify(plain)), sealedAs(row, what));

  function toTask(row: Row): WaitingTask {
    const opened = (sealed: Uint8Array, what: string) => JSON.parse(sealer.open(sealed, sealedAs(row, what)).reveal());
    return {
      id: row.id,
      call: opened(row.sealed, 'call') as Call,
      approval: row.approval,
      actionId: row.action_id,
      state: row.state as WaitingTask['state'],
      shown: row.shown === 1,
      answer: row.answer === null ? null : (opened(row.answer, 'answer') as UpstreamAnswer),
      createdAt: row.created_at,
      updatedAt: row.updated_at,
      expiresAt: row.expires_at,
    };
  }

  const ofWhom = ({ caller, view, era }: Whose) =>
    storage.db
      .selectFrom('waiting_tasks')
      .selectAll()
      .where('task', '=', caller.task.id)
      .where('agent', '=', caller.agent)
      .where('agent_epoch', '=', caller.agentEpoch)
      .where('view', '=', view ?? '')
      .where('era', '=', era)
      .where('expires_at', '>', clock.now());

  const waiting = (transaction: DatabaseTransaction, id: string) =>
    transaction
      .selectFrom('waiting_tasks')
      .selectAll()
      .where('id', '=', id)
      .where('state', '=', 'waiting')
      .executeTakeFirst();

  const change = (transaction: DatabaseTransaction, id: string, to: Partial<Row>) =>
    transaction
      .updateTable('waiting_tasks')
      .set({ ...to, updated_at: clock.now() })
      .where('id', '=', id)
      .where('state', '=', 'waiting')
      .returningAll()
      .executeTakeFirst();

  async function isStanding(db: Database, id: string): Promise<boolean> {
    const fence = await db.selectFrom('fences').select('version').where('key', '=', fenceOf(id)).executeTakeFirst();
    return fence?.version === STANDS;
  }

  async function waitFor(transaction: DatabaseTransaction, id: string, approval: Approval) {
    const row = await waiting(transaction, id);
    if (!row || !(await isStanding(transaction, id))) return undefined;
    const first = await transaction
      .selectFrom('waiting_tasks')
      .selectAll()
      .where('approval', '=', approval.id)
      .where('view', '=', row.view)
      .where('era', '=', row.era)
      .where('state', '=', 'waiting')
      .executeTakeFirst();
    if (first) return toTask(first);
    const changed = await change(transaction, id, {
      approval: approval.id,
      action_id: approval.actionId,
      expires_at: Math.max(row.expires_at, approval.expiresAt + doorLimits.taskTtlMs),
    });
    return changed && toTask(changed);
  }

  return {
    async open(whose, { call, approval, actionId, ttlMs }) {
      const { caller, view, era } = whose;
      const now = clock.now();
      const row = {
        id: newId('mcp', now),
        agent: caller.agent,
        agent_epoch: caller.agentEpoch,
        task: caller.task.id,
        view: view ?? '',
        era,
        approval: approval?.id ?? null,
        action_id: actionId,
        state: 'waiting',
        shown: 0,
        created_at: now,
        updated_at: now,
        expires_at: Math.max(now, approval?.expiresAt ?? 0) + ttlMs,
      };
      const { perform: _, ...kept } = call;
      const sealed = seal(row, 'call', kept as unknown as JsonObject);
      return storage.transaction(async (transaction) => {
        const others = await transaction
          .selectFrom('waiting_tasks')
          .selectAll()
          .where('task', '=', row.task)
          .where('expires_at', '>', now)
          .orderBy('id', 'desc')
          .limit(doorLimits.waitingTasksPerTask)
          .execute();
        const same = others.find(
          (other) =>
            other.approval !== null &&
            other.approval === row.approval &&
            other.state === 'waiting' &&
            other.view === row.view &&
            other.era === row.era,
        );
        if (same) return toTask(same);
        if (others.length >= doorLimits.waitingTasksPerTask) throw tooMany();
        const written = await transaction
          .insertInto('waiting_tasks')
          .values({ ...row, sealed, answer: null })
          .onConflict((conflict) => conflict.doNothing())
          .returningAll()
          .executeTakeFirst();
        if (written) {
          await storage.bumpFence(transaction, fenceOf(written.id));
          return toTask(written);
        }
        // Another replica was first.
        const first = await transaction
          .selectFrom('waiting_tasks')
          .selectAll()
          .where('approval', '=', row.approval)
          .where('view', '=', row.view)
          .where('era', '=', row.era)
          .where('state', '=', 'waiting')
          .executeTakeFirstOrThrow();
        return toTask(first);
      });
    },

    async find(whose, id) {
      const row = await ofWhom(whose).where('id', '=', id).executeTakeFirst();
      return row && toTask(row);
    },

    async list(whose) {
      const rows = await ofWhom(whose).orderBy('id', 'desc').limit(doorLimits.waitingTasksPerTask).execute();
      return rows.map(toTask);
    },

    async waitFor(id, approval) {
      try {
        return await storage.transaction((transaction) => waitFor(transaction, id, approval));
      } catch (error) {
        if (!(error instanceof GatehouseError) || error.code !== 'storage.refused') throw error;
        // Another replica was first.
        return storage.transaction((transaction) => waitFor(transaction, id, approval));
      }
    },

    async stands(id, actionId) {
      const row = await storage.db
        .selectFrom('waiting_tasks')
        .select('action_id')
        .where('id', '=', id)
        .executeTakeFirst();
      if (!row || !(await isStanding(storage.db, id))) return undefined;
      // Before it is let through, so that whoever looks for its record finds it.
      if (row.action_id !== actionId)
        await storage.transaction(async (transaction) => {
          await change(transaction, id, { action_id: actionId });
        });
      return [{ key: fenceOf(id), version: STANDS }];
    },

    async stop({ id, approval, actionId, updatedAt }) {
      return storage.transaction(async (transaction) => {
        const row = await waiting(transaction, id);
        if (!row || row.approval !== approval || row.action_id !== actionId || row.updated_at !== updatedAt)
          return false;
        await storage.bumpFence(transaction, fenceOf(id));
        return true;
      });
    },

    async show(id) {
      await storage.transaction(async (transaction) => {
        await transaction.updateTable('waiting_tasks').set({ shown: 1 }).where('id', '=', id).execute();
      });
    },

    async end(id, state, answer) {
      return storage.transaction(async (transaction) => {
        const row = await waiting(transaction, id);
        if (!row) return undefined;
        await storage.bumpFence(transaction, fenceOf(id));
        const sealed = seal(row, 'answer', { ...answer } as unknown as JsonObject);
        const ended = await change(transaction, id, { state, answer: sealed });
        return ended && toTask(ended);
      });
    },

    async forget(id) {
      await storage.transaction(async (transaction) => {
        await transaction.deleteFrom('fences').where('key', '=', fenceOf(id)).execute();
        await transaction.deleteFrom('waiting_tasks').where('id', '=', id).execute();
      });
    },

    async sweep() {
      await storage.transaction(async (transaction) => {
        const now = clock.now();
        const keys = transaction
          .selectFrom('waiting_tasks')
          .select(sql<string>`${fenceOf('')} || id`.as('key'))
          .where('expires_at', '<=', now);
        await transaction.deleteFrom('fences').where('key', 'in', keys).execute();
        await transaction.deleteFrom('waiting_tasks').where('expires_at', '<=', now).execute();
      });
    },
  };
}

const tooMany = () =>
  new GatehouseError(
    'too-many',
    'task.too-many-waiting',
    `This task has ${doorLimits.waitingTasksPerTask} MCP tasks already. Wait until some of them are forgotten.`,
  );
