import type { Approval, EndorsedValue, PersonManifest } from '@gatehouse/protocol';
import type { PasskeyVerification } from '../identity/index.ts';
import { type Clock, GatehouseError, type Json, type Log } from '../platform/index.ts';
import type { Change, DatabaseTransaction, RecordChange, Storage } from '../storage/index.ts';
import { createDecisions, inconsistent } from './decide.ts';
import { evidenceProblem, parseEvidence } from './evidence.ts';
import { createMemory } from './memory.ts';
import { openWithin } from './open.ts';
import { type ApprovalRow, subjectOf, toApproval } from './rows.ts';
import { digestedForm, subjectDigest } from './subject.ts';
import { createSweep } from './sweep.ts';
import type { Approvals } from './types.ts';

export interface ApprovalsDependencies {
  storage: Storage;
  /** Who is declared, with which roles. */
  registry: { snapshot(): { readonly people: ReadonlyMap<string, PersonManifest> } };
  people: PasskeyVerification;
  recordChange: RecordChange;
  clock: Clock;
  log: Log;
  /** Keeps what a person endorses with a yes, in the transaction of that yes. Says it in words, for the record. */
  endorse?: (
    transaction: DatabaseTransaction,
    of: { approval: string; task: string; person: string; values: readonly EndorsedValue[] },
  ) => Promise<string[]>;
  /** Told, in the same transaction, of an approval that ends without having been used. */
  onEnded?: ((transaction: DatabaseTransaction, id: string) => Promise<void>) | undefined;
  /** Its origin is what a yes must have been signed for. */
  publicUrl: string;
}

const PAGE_LIMIT = 200;
/** Rows per statement: bounded parameters on both databases. */
const CHUNK = 500;
export async function createApprovals(dependencies: ApprovalsDependencies): Promise<Approvals> {
  const { storage, clock, log } = dependencies;
  const memory = createMemory(clock);
  const decisions = createDecisions(dependencies);
  const sweep = createSweep({ storage, clock, recordMove: decisions.recordMove });
  const { origin } = new URL(dependencies.publicUrl);

  const show = (row: ApprovalRow) => toApproval(row, clock.now());

  /** A row that does not hold together was changed by hand, and nothing may run on it. */
  function isIntact(row: ApprovalRow): boolean {
    const problem = !subjectOf(row)
      ? 'its digest is of another action'
      : row.state === 'approved'
        ? evidenceProblem(row.assertion, { id: row.id, digest: row.digest, decidedBy: row.decided_by, origin })
        : null;
    if (problem !== null) {
      const what = 'an approval in the database is not what was asked or signed; it is not used';
      log.error(what, { approval: row.id, problem });
    }
    return problem === null;
  }

  function remember(row: ApprovalRow): void {
    if (isIntact(row)) memory.put(show(row));
    else memory.drop(row.id);
  }

  async function reload(ids: string[]): Promise<void> {
    for (let at = 0; at < ids.length; at += CHUNK) {
      const rows = await storage.db
        .selectFrom('approvals')
        .selectAll()
        .where('id', 'in', ids.slice(at, at + CHUNK))
        .execute();
      for (const row of rows) remember(row);
    }
  }

  async function get(id: string): Promise<Approval | undefined> {
    const row = await storage.db.selectFrom('approvals').selectAll().where('id', '=', id).executeTakeFirst();
    return row && show(row);
  }

  async function load(): Promise<void> {
    const rows = await storage.db
      .selectFrom('approvals')
      .selectAll()
      .where('state', 'in', ['pending', 'approved'])
      .where('expires_at', '>', clock.now())
      .execute();
    for (const row of rows) remember(row);
  }

  async function decide(work: Promise<ApprovalRow>): Promise<Approval> {
    const row = await work;
    remember(row);
    return show(row);
  }

  await load();
  return {
    load,
    digest: subjectDigest,
    find: memory.find,
    isOpenIn: memory.isOpenIn,
    get,

    async signed(id) {
      const row = await storage.db.selectFrom('approvals').selectAll().where('id', '=', id).executeTakeFirst();
      const yes = row && parseEvidence(row.assertion);
      if (!row || !yes) return undefined;
      const subject = subjectOf(row);
      if (!subject) throw inconsistent();
      return { subject: digestedForm(subject) as Json, yes: [yes] };
    },

    async open(request) {
      if (request.subject.policyVersion !== request.decision.policyVersion) {
        throw new GatehouseError(
          'internal',
          'approval.policy-version',
          'The action was decided by another version of the policy than it is bound to.',
        );
      }
      const row = await storage.transaction(async (transaction) => {
        const { row, isNew } = await openWithin(transaction, clock, request);
        if (isNew) await decisions.recordMove(transaction, row, 'approval.request', 'gatehouse');
        return row;
      });
      if (!isIntact(row)) throw inconsistent();
      memory.put(show(row));
      return show(row);
    },

    async list({ state, agent, task, actionId, before, limit }) {
      const now = clock.now();
      let query = storage.db.selectFrom('approvals').selectAll();
      if (agent !== undefined) query = query.where('agent', '=', agent);
      if (task !== undefined) query = query.where('task', '=', task);
      if (actionId !== undefined) query = query.where('action_id', '=', actionId);
      if (before !== undefined) query = query.where('id', '<', before);
      if (state === 'expired') {
        query = query.where((where) =>
          where.or([
            where('state', '=', 'expired'),
            where.and([where('state', 'in', ['pending', 'approved']), where('expires_at', '<=', now)]),
          ]),
        );
      } else if (state !== undefined) {
        query = query.where('state', '=', state);
        if (state === 'pending' || state === 'approved') query = query.where('expires_at', '>', now);
      }
      const rows = await query.orderBy('id', 'desc').limit(Math.min(limit, PAGE_LIMIT)).execute();
      return rows.map(show);
    },

    async countPending(agents) {
      if (agents.length === 0) return new Map();
      const rows = await storage.db
        .selectFrom('approvals')
        .select(({ fn }) => ['agent', fn.countAll<number>().as('count')])
        .where('agent', 'in', agents)
        .where('state', '=', 'pending')
        .where('expires_at', '>', clock.now())
        .groupBy('agent')
        .execute();
      return new Map(rows.map(({ agent, count }) => [agent, Number(count)]));
    },

    async settled(id, signal) {
      const done = new AbortController();
      // Listening comes before looking, so that a decision between the two is not missed.
      const decided = memory.decided(id, AbortSignal.any([signal, done.signal]));
      try {
        const now = await get(id);
        if (!now) throw new GatehouseError('not-found', 'approval.not-found', `There is no approval ${id}.`);
        if (now.state !== 'pending') return now;
        return (await decided) ?? (await get(id)) ?? now;
      } finally {
        done.abort();
      }
    },

    approvalOptions: decisions.approvalOptions,
    approve: (id, person, assertion, endorse) => decide(decisions.approve(id, person, assertion, endorse)),
    deny: (id, person, reason) => decide(decisions.deny(id, person, reason)),

    async cancelAll(transaction, { agent, task }, by) {
      if (agent === undefined && task === undefined) {
        throw new GatehouseError('internal', 'approval.cancel-what', 'Name the agent or the task to cancel.');
      }
      const now = clock.now();
      let query = transaction
        .updateTable('approvals')
        .set({ state: 'cancelled', decided_at: now, decided_by: by })
        .where('state', 'in', ['pending', 'approved']);
      // What others do in tasks that this agent handed on ends with it.
      const handedOn = transaction
        .selectFrom('task_actors')
        .select('task_actors.task')
        .where('task_actors.agent', '=', agent ?? '');
      if (agent !== undefined)
        query = query.where((where) => where.or([where('agent', '=', agent), where('task', 'in', handedOn)]));
      if (task !== undefined) query = query.where('task', '=', task);
      const rows = await query.returningAll().execute();
      for (const row of rows) await decisions.recordMove(transaction, row, 'approval.cancel', by);
      return rows.length;
    },

    noteConsumed: memory.drop,

    async refresh(changes: Change[]) {
      const ids = changes.filter(({ topic }) => topic === 'approval').map(({ key }) => key);
      await reload([...new Set(ids)]);
    },

    async expire() {
      memory.purge();
      const { expired, cancelled } = await sweep();
      for (const row of [...expired, ...cancelled]) remember(row);
      return expired.length;
    },
  };
}
