import type { Approval } from '@gatehouse/protocol';
import type { Json } from '../platform/index.ts';
import { inconsistent } from './asked.ts';
import { parseEvidence } from './evidence.ts';
import { type ApprovalRow, isErased, subjectOf, toApproval, type VoteRow } from './rows.ts';
import { digestedForm } from './subject.ts';
import type { Approvals, ApprovalsDependencies } from './types.ts';
import { votesOn } from './votes.ts';

const PAGE_LIMIT = 200;

/** Approvals as the database has them, with what was said to each. */
export function createListing({ storage, clock }: Pick<ApprovalsDependencies, 'storage' | 'clock'>) {
  const show = (row: ApprovalRow, votes: readonly VoteRow[]) => toApproval(row, votes, clock.now());

  async function shown(rows: readonly ApprovalRow[]): Promise<Approval[]> {
    const votes = await votesOn(storage.db, rows);
    return rows.map((row) => show(row, votes.get(row.id) ?? []));
  }

  async function get(id: string): Promise<Approval | undefined> {
    const row = await storage.db.selectFrom('approvals').selectAll().where('id', '=', id).executeTakeFirst();
    return row && (await shown([row]))[0];
  }

  const signed: Approvals['signed'] = async (id) => {
    const row = await storage.db.selectFrom('approvals').selectAll().where('id', '=', id).executeTakeFirst();
    const votes = (row && (await votesOn(storage.db, [row])).get(id)) ?? [];
    // A person's last answer counts.
    const last = new Map(votes.map((vote) => [vote.person, vote.assertion]));
    const assertions = votes.length > 0 ? [...last.values()] : [row?.assertion ?? null];
    const yes = assertions.flatMap((assertion) => parseEvidence(assertion) ?? []);
    if (!row || yes.length === 0) return undefined;
    const subject = subjectOf(row);
    if (!subject && isErased(row)) return { subject: null, salted: null, yes };
    if (!subject) throw inconsistent();
    const { arguments: args, argumentsSalt: salt } = subject;
    const salted = salt === undefined ? null : { arguments: args, salt };
    return { subject: digestedForm(subject) as Json, salted, yes };
  };

  const list: Approvals['list'] = async ({ state, agent, task, actionId, before, limit }) => {
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
    return shown(rows);
  };

  const countPending: Approvals['countPending'] = async (agents) => {
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
  };

  return { show, get, signed, list, countPending };
}
