import type { Approval } from '@gatehouse/protocol';
import type { Caller } from '../../../identity/index.ts';
import { type Clock, GatehouseError, type JsonObject, newId, Secret } from '../../../platform/index.ts';
import type { Sealer, Storage, Tables } from '../../../storage/index.ts';
import type { Era, UpstreamAnswer } from '../../upstream/types.ts';
import type { Call } from '../agent-side.ts';
import { doorLimits } from '../limits.ts';

/** Whose task it is, and at which address: for anybody else, and anywhere else, it is not there. */
export interface Whose {
  caller: Caller;
  view: string | null;
  era: Era;
}

/** A call of an agent that waits or runs as an MCP task of the gate's own. */
export interface WaitingTask {
  id: string;
  call: Call;
  /** What lets it run; null: nobody had to be asked so far. */
  approval: string | null;
  actionId: string;
  state: 'waiting' | 'done' | 'cancelled';
  /** Its client has answered what it was asked to open. */
  shown: boolean;
  answer: UpstreamAnswer | null;
  createdAt: number;
  updatedAt: number;
  expiresAt: number;
}

export interface NewWaitingTask {
  call: Call;
  approval: Approval | null;
  actionId: string;
  ttlMs: number;
}

/** In the database, so that every replica has them, also after a restart. */
export interface WaitingRows {
  /** Throws `task.too-many-waiting` where `open` would: before anything runs whose result would have no place. */
  requireRoom(whose: Whose): Promise<void>;
  /** The one that waits for this approval already, or a new one. Throws `task.too-many-waiting`. */
  open(whose: Whose, of: NewWaitingTask): Promise<WaitingTask>;
  find(whose: Whose, id: string): Promise<WaitingTask | undefined>;
  /** The newest first. */
  list(whose: Whose): Promise<WaitingTask[]>;
  /** It waits for this one now. */
  waitFor(id: string, approval: Approval): Promise<void>;
  show(id: string): Promise<void>;
  /** Once: false when it had ended before. */
  end(id: string, state: 'done' | 'cancelled', answer: UpstreamAnswer): Promise<boolean>;
  sweep(): Promise<void>;
}

type Row = Tables['waiting_tasks'];

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

  return {
    async requireRoom({ caller }) {
      const rows = await storage.db
        .selectFrom('waiting_tasks')
        .select('id')
        .where('task', '=', caller.task.id)
        .where('expires_at', '>', clock.now())
        .limit(doorLimits.waitingTasksPerTask)
        .execute();
      if (rows.length >= doorLimits.waitingTasksPerTask) throw tooMany();
    },

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
        if (written) return toTask(written);
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
      await storage.transaction(async (transaction) => {
        const row = await transaction.selectFrom('waiting_tasks').selectAll().where('id', '=', id).executeTakeFirst();
        if (!row) return;
        await transaction
          .updateTable('waiting_tasks')
          .set({
            approval: approval.id,
            action_id: approval.actionId,
            updated_at: clock.now(),
            expires_at: Math.max(row.expires_at, approval.expiresAt + doorLimits.taskTtlMs),
          })
          .where('id', '=', id)
          .where('state', '=', 'waiting')
          .execute();
      });
    },

    async show(id) {
      await storage.transaction(async (transaction) => {
        await transaction.updateTable('waiting_tasks').set({ shown: 1 }).where('id', '=', id).execute();
      });
    },

    async end(id, state, answer) {
      return storage.transaction(async (transaction) => {
        const row = await transaction
          .selectFrom('waiting_tasks')
          .selectAll()
          .where('id', '=', id)
          .where('state', '=', 'waiting')
          .executeTakeFirst();
        if (!row) return false;
        const ended = await transaction
          .updateTable('waiting_tasks')
          .set({ state, answer: seal(row, 'answer', { ...answer } as unknown as JsonObject), updated_at: clock.now() })
          .where('id', '=', id)
          .where('state', '=', 'waiting')
          .executeTakeFirst();
        return ended.numUpdatedRows > 0n;
      });
    },

    async sweep() {
      await storage.transaction(async (transaction) => {
        await transaction.deleteFrom('waiting_tasks').where('expires_at', '<=', clock.now()).execute();
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
