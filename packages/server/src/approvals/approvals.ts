import type { Approval, PersonManifest } from '@gatehouse/protocol';
import type { PasskeyVerification } from '../identity/index.ts';
import { type Clock, GatehouseError, type Log, limits, newId } from '../platform/index.ts';
import type { Change, DatabaseTransaction, RecordChange, Storage } from '../storage/index.ts';
import { createDecisions } from './decide.ts';
import { evidenceProblem } from './evidence.ts';
import { createMemory } from './memory.ts';
import { type ApprovalRow, newRow, subjectOf, toApproval } from './rows.ts';
import { subjectDigest } from './subject.ts';
import type { ApprovalRequest, Approvals } from './types.ts';

export interface ApprovalsDependencies {
  storage: Storage;
  /** Who is declared, with which roles. */
  registry: { snapshot(): { readonly people: ReadonlyMap<string, PersonManifest> } };
  people: PasskeyVerification;
  recordChange: RecordChange;
  clock: Clock;
  log: Log;
  /** Its origin is what a yes must have been signed for. */
  publicUrl: string;
}

/** What one approver can read through, with room to spare; larger things are to be passed by reference. */
const REVIEWABLE_BYTES = 256 * 1024;
const PAGE_LIMIT = 200;
/** Rows per statement: bounded parameters on both databases. */
const CHUNK = 500;
/** Approvals that end in one transaction, which everything else that writes waits for. */
const EXPIRED_AT_ONCE = 100;

export async function createApprovals(dependencies: ApprovalsDependencies): Promise<Approvals> {
  const { storage, clock, log } = dependencies;
  const memory = createMemory(clock);
  const decisions = createDecisions(dependencies);
  const { origin } = new URL(dependencies.publicUrl);

  const show = (row: ApprovalRow) => toApproval(row, clock.now());

  /** A row that does not hold together was changed by hand, and nothing may run on it. */
  function remember(row: ApprovalRow): void {
    const problem = !subjectOf(row)
      ? 'its digest is of another action'
      : row.state === 'approved'
        ? evidenceProblem(row.assertion, { id: row.id, digest: row.digest, decidedBy: row.decided_by, origin })
        : null;
    if (problem === null) {
      memory.put(show(row));
      return;
    }
    memory.drop(row.id);
    log.error('an approval in the database is not what was asked or signed; it is not used', {
      approval: row.id,
      problem,
    });
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

  async function openWithin(transaction: DatabaseTransaction, request: ApprovalRequest): Promise<ApprovalRow> {
    const { subject } = request;
    const now = clock.now();
    const agent = await transaction
      .selectFrom('agents')
      .select(['state', 'epoch'])
      .where('name', '=', subject.agent)
      .executeTakeFirst();
    if (agent?.state !== 'active' || agent.epoch !== subject.agentEpoch) {
      throw new GatehouseError(
        'conflict',
        'approval.agent-changed',
        `The agent ${subject.agent} has been stopped or changed since this call was made; nobody can approve it.`,
      );
    }
    const open = transaction.selectFrom('approvals').where('agent', '=', subject.agent).where('expires_at', '>', now);
    const same = await open
      .selectAll()
      .where('state', 'in', ['approved', 'pending'])
      .where('digest', '=', subjectDigest(subject))
      .orderBy('state')
      .executeTakeFirst();
    if (same) return same;

    const limit = limits.pendingApprovalsPerAgent;
    const pending = await open.select('id').where('state', '=', 'pending').limit(limit).execute();
    if (pending.length >= limit) {
      throw new GatehouseError(
        'too-many',
        'approval.too-many',
        `${limit} actions of ${subject.agent} wait for approval already. Wait until some are decided, or end the task.`,
      );
    }
    const row = newRow(newId('apr', now), request, {
      createdAt: now,
      expiresAt: now + limits.approvalTtlSeconds * 1_000,
    });
    if (Buffer.byteLength(row.body) > REVIEWABLE_BYTES) {
      throw new GatehouseError(
        'too-large',
        'approval.too-large',
        `Nobody can review arguments of this size (at most ${REVIEWABLE_BYTES} bytes). Pass a reference to the content, or split the action.`,
      );
    }
    await transaction.insertInto('approvals').values(row).execute();
    await decisions.recordMove(transaction, row, 'approval.request', 'gatehouse');
    return row;
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
    get,

    async open(request) {
      if (request.subject.policyVersion !== request.decision.policyVersion) {
        throw new GatehouseError(
          'internal',
          'approval.policy-version',
          'The action was decided by another version of the policy than it is bound to.',
        );
      }
      const row = await storage.transaction((transaction) => openWithin(transaction, request));
      remember(row);
      return show(row);
    },

    async list({ state, agent, task, before, limit }) {
      const now = clock.now();
      let query = storage.db.selectFrom('approvals').selectAll();
      if (agent !== undefined) query = query.where('agent', '=', agent);
      if (task !== undefined) query = query.where('task', '=', task);
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
    approve: (id, person, assertion) => decide(decisions.approve(id, person, assertion)),
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
      if (agent !== undefined) query = query.where('agent', '=', agent);
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
      const due = () => {
        const now = clock.now();
        return storage.db
          .selectFrom('approvals')
          .select('id')
          .where('state', 'in', ['pending', 'approved'])
          .where('expires_at', '<=', now)
          .limit(EXPIRED_AT_ONCE)
          .execute();
      };
      let count = 0;
      for (let rows = await due(); rows.length > 0; rows = await due()) {
        const ids = rows.map(({ id }) => id);
        const expired = await storage.transaction(async (transaction) => {
          const ended = await transaction
            .updateTable('approvals')
            .set({ state: 'expired' })
            .where('id', 'in', ids)
            .where('state', 'in', ['pending', 'approved'])
            .where('expires_at', '<=', clock.now())
            .returningAll()
            .execute();
          for (const row of ended) await decisions.recordMove(transaction, row, 'approval.expire', 'gatehouse');
          return ended;
        });
        for (const row of expired) remember(row);
        count += expired.length;
      }
      return count;
    },
  };
}
