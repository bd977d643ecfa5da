import { createHmac } from 'node:crypto';
import type { Decision, Resolution, Tier, UnknownAction } from '@gatehouse/protocol';
import type { Ledger } from '../ledger/index.ts';
import { type Clock, canonicalJson, GatehouseError, isJsonObject, type Json, limits } from '../platform/index.ts';
import type { RegisteredTool } from '../registry/index.ts';
import {
  type OpenCall,
  type OpenCallRow,
  type RecordChange,
  type Storage,
  type Twin,
  twinOf,
} from '../storage/index.ts';
import { settleOf, type Wanted } from './budgets/index.ts';
import { deny } from './deny.ts';
import type { Action } from './types.ts';

export interface OpenCallsDependencies {
  storage: Storage;
  ledger: Pick<Ledger, 'action'>;
  recordChange: RecordChange;
  /** 32 bytes, the same on every replica and after a restart: what calls do is kept only as its digest under it. */
  key: Uint8Array;
  clock: Clock;
}

export type OpenCalls = ReturnType<typeof createOpenCalls>;

/** What a person has said of a call stays this long at most, should its task last. */
const RESOLVED_MS = 30 * 24 * 3_600_000;

/**
 * Calls that may have changed something and of which nobody knows whether they ran: none is silently sent again. The row of each is written
 * with its dispatch and removed with its outcome, so that a crash in between, here or on another replica, leaves it.
 */
export function createOpenCalls({ storage, ledger, recordChange, key, clock }: OpenCallsDependencies) {
  const { db } = storage;
  /** Their outcome is unknown, and that is not on disk yet. */
  const unwritten = new Map<string, Twin>();
  const digest = (value: Json) => createHmac('sha256', key).update(canonicalJson(value)).digest('hex');

  /** Null: it changes nothing, or somebody else makes it. By agent and not by task: a task that is started anew repeats no less. */
  function openCallOf({ caller, operation, arguments: args, gateway }: Action, tool: RegisteredTool): OpenCall | null {
    if (operation !== 'tools/call' || gateway || tool.effects.every((effect) => effect === 'read')) return null;
    const { idempotencyArgument } = tool.labels;
    const given = isJsonObject(args) ? args : {};
    const { [idempotencyArgument ?? '']: value, ...rest } = given;
    return {
      actionId: '',
      call: digest({ agent: caller.agent, tool: tool.ref, arguments: idempotencyArgument === null ? args : rest }),
      key: idempotencyArgument === null || value === undefined ? null : digest({ value }),
      agent: caller.agent,
      task: caller.task.id,
      environment: caller.task.environment,
      tool: tool.ref,
      at: clock.now(),
      repeats: null,
    };
  }

  /** The call that a person is to be shown before they are asked; what another replica runs is for the dispatch to find. */
  async function twin(open: OpenCall): Promise<Twin | undefined> {
    const known = unwritten.get(open.call);
    if (known) return known;
    const rows = await db
      .selectFrom('open_calls')
      .selectAll()
      .where('call_digest', '=', open.call)
      .where('unknown_at', 'is not', null)
      .execute();
    return twinOf(rows, '', open);
  }

  async function find(id: string): Promise<OpenCallRow | undefined> {
    return db.selectFrom('open_calls').selectAll().where('action_id', '=', id).executeTakeFirst();
  }

  return {
    of: openCallOf,
    twin,

    /** Stands in the way from now on, also while the database is away. */
    leftUnknown({ call, actionId, key: own, task, at }: OpenCall, detail: string, written: Promise<void>): void {
      unwritten.set(call, {
        action_id: actionId,
        key_digest: own,
        task,
        sent_at: at,
        unknown_at: clock.now(),
        detail,
        resolution: null,
        resolved_by: null,
        note: null,
      });
      written.then(() => {
        if (unwritten.get(call)?.action_id === actionId) unwritten.delete(call);
      });
    },
    unwritten: (open: OpenCall) => unwritten.get(open.call),

    async list({ agent, before, limit }: { agent?: string; before?: string; limit: number }): Promise<UnknownAction[]> {
      let query = db
        .selectFrom('open_calls')
        .selectAll()
        .where('unknown_at', 'is not', null)
        .where('resolution', 'is', null);
      if (agent !== undefined) query = query.where('agent', '=', agent);
      if (before !== undefined) query = query.where('action_id', '<', before);
      const rows = await query.orderBy('action_id', 'desc').limit(limit).execute();
      return rows.map(toUnknown);
    },

    /** What a person has found out about a call whose outcome nobody knew. Once; recorded; its budgets are settled by it. */
    async resolve(id: string, said: Resolution, by: string): Promise<void> {
      const action = await ledger.action(id);
      if (!action) throw new GatehouseError('not-found', 'action.unknown', `There is no action "${id}".`);
      const { summary } = action;
      if (summary.status !== 'unknown')
        throw new GatehouseError(
          'conflict',
          'action.known',
          `It is known what came of ${id}: ${summary.status}. Only an action that shows as unknown is resolved.`,
        );
      const row = await find(id);
      await storage.transaction(async (transaction) => {
        const { what, note, reference } = said;
        const now = clock.now();
        const before = await transaction
          .selectFrom('records')
          .select('sequence')
          .where('action_id', '=', id)
          .where('operation', '=', 'action.resolve')
          .executeTakeFirst();
        if (before)
          throw new GatehouseError('conflict', 'action.resolved', `Somebody has said before what came of ${id}.`);
        if (what === 'not-happened') await transaction.deleteFrom('open_calls').where('action_id', '=', id).execute();
        else
          await transaction
            .updateTable('open_calls')
            .set({ resolution: what, resolved_by: by, resolved_at: now, note })
            .where('action_id', '=', id)
            .execute();
        const { agent, task, tool } = summary;
        await recordChange(transaction, {
          operation: 'action.resolve',
          by,
          action: id,
          ...(agent !== null && { agent }),
          ...(task !== null && { task }),
          ...(tool !== null && { tool }),
          ...(row && { environment: row.environment }),
          changes: [what, ...(reference === undefined ? [] : [`reference ${reference}`])],
          detail: note,
        });
      });
      await settle(id, said.what === 'not-happened');
    },

    /** What was said of a call that does the same in a task that has ended stands in nobody's way. */
    async sweep(): Promise<void> {
      await db
        .deleteFrom('open_calls')
        .where('resolution', 'is not', null)
        .where(({ or, eb, not, exists, selectFrom }) =>
          or([
            eb('resolved_at', '<', clock.now() - RESOLVED_MS),
            not(
              exists(
                selectFrom('tasks')
                  .select('tasks.id')
                  .whereRef('tasks.id', '=', 'open_calls.task')
                  .where('tasks.state', '=', 'active'),
              ),
            ),
          ]),
        )
        .execute();
    },
  };

  /** What never happened counts no more on budgets; everything else stays counted. */
  async function settle(actionId: string, isGivenBack: boolean): Promise<void> {
    const rows = await db.selectFrom('budget_spends').select('counter').where('action_id', '=', actionId).execute();
    if (rows.length === 0) return;
    const counters = rows.map(({ counter }) => counter);
    const giveBack = isGivenBack ? counters : [];
    await storage.append({
      guards: [],
      records: [],
      bodies: [],
      settle: { actionId, now: clock.now(), counters, giveBack },
    });
  }
}

/** The outcome of a call as it is written beside its record. */
export function endOf(
  { open, wanted, actionId }: { open: OpenCall | null; wanted: Wanted | null; actionId: string },
  result: 'success' | 'failure' | 'unknown' | 'not-sent',
  detail: string,
  now: number,
) {
  const settled = wanted && settleOf(wanted, actionId, now, result);
  return {
    changes: settled?.changes ?? [],
    settle: settled?.settle,
    ends: open
      ? { actionId, unknown: result === 'unknown' ? { at: now, detail: detail.slice(0, 1_000) } : null }
      : undefined,
  };
}

/**
 * The decision about a call of which another, which does the same, may have run: a person is asked, who is shown that one. Where the operator
 * says that doing it twice is doing it once, or its own key says that it is the same, it runs again; what a server says of its own tools
 * changes nothing here.
 */
export function beforeRepeating(decision: Decision, twin: Twin, open: OpenCall, tool: RegisteredTool): Decision {
  if (twin.unknown_at === null) return deny(runsElsewhere(twin), decision.policyVersion, tool);
  if (decision.effect === 'deny') return decision;
  const words = twinInWords(twin);
  // No standing grant covers it, and none is given with it.
  const { grantable: _, ...alone } = decision;
  if (decision.effect === 'needs-approval') return { ...alone, reason: `${decision.reason} ${words}` };
  const isSafe = tool.labels.idempotent || (open.key !== null && open.key === twin.key_digest);
  if (isSafe && twin.resolution === null) return decision;
  const tier = Math.max(3, decision.tier) as Tier;
  return {
    ...alone,
    effect: 'needs-approval',
    tier,
    code: 'action.may-have-run',
    reason: `${words} A person is asked.`,
  };
}

const runsElsewhere = (twin: Twin) => ({
  code: 'action.running',
  reason: `The same call (${twin.action_id}) was sent by another replica, which has not said yet what came of it. It is not sent twice: call again in ${limits.replicaGoneSeconds} seconds.`,
});

const said: Record<Resolution['what'], string> = {
  happened: 'has happened',
  'not-happened': 'has not happened',
  'cannot-be-known': 'may have happened, and it can’t be known',
};

function twinInWords({ action_id, sent_at, detail, resolution, resolved_by, note }: Twin): string {
  const head = `The same call (${action_id}) was sent at ${new Date(sent_at).toISOString()}`;
  if (resolution === null) return `${head}, and nobody knows whether it ran: ${detail ?? ''}`;
  return `${head} and ${said[resolution as Resolution['what']]}, says ${resolved_by}: ${note ?? ''}`;
}

function toUnknown(row: OpenCallRow): UnknownAction {
  const { action_id: actionId, agent, task, environment, tool, sent_at: sentAt, unknown_at, detail } = row;
  return { actionId, agent, task, environment, tool, sentAt, unknownAt: unknown_at ?? 0, detail: detail ?? '' };
}
