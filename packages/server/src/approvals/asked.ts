import type { Approval } from '@gatehouse/protocol';
import { type Clock, GatehouseError } from '../platform/index.ts';
import type { AdministrativeChange, Database, DatabaseTransaction } from '../storage/index.ts';
import { type ApprovalRow, toApproval, type VoteRow } from './rows.ts';
import type { Question } from './rule/circle.ts';
import { votesOn } from './votes.ts';
import { questionOf } from './who-may.ts';

/** One approval as it stands in the database, with all that decides who may answer. */
export interface Asked {
  row: ApprovalRow;
  votes: VoteRow[];
  approval: Approval;
  agent: { owner: string; state: string; epoch: number } | undefined;
  question: Question;
}

export function rowOf(database: Database | DatabaseTransaction, id: string): Promise<ApprovalRow | undefined> {
  return database.selectFrom('approvals').selectAll().where('id', '=', id).executeTakeFirst();
}

export async function read(database: Database | DatabaseTransaction, id: string): Promise<Asked> {
  const row = await rowOf(database, id);
  if (!row)
    throw new GatehouseError('not-found', 'approval.not-found', 'There is no such approval. Look in the inbox.');
  const votes = (await votesOn(database, [row])).get(id) ?? [];
  const agent = await database
    .selectFrom('agents')
    .select(['owner', 'state', 'epoch'])
    .where('name', '=', row.agent)
    .executeTakeFirst();
  const approval = toApproval(row, votes, row.created_at);
  return { row, votes, approval, agent, question: questionOf(approval, agent?.owner ?? '') };
}

type About = Pick<AdministrativeChange, 'action' | 'agent' | 'task' | 'tool' | 'environment' | 'approval'>;

export function about(row: ApprovalRow): About {
  const { tool, environment } = toApproval(row, [], row.created_at);
  return { action: row.action_id, agent: row.agent, task: row.task, tool, environment, approval: row.id };
}

export function requireState(row: ApprovalRow, states: string[], clock: Clock): void {
  if (!states.includes(row.state) || row.expires_at <= clock.now()) throw notOpen(row, clock);
}

export function notOpen(row: ApprovalRow, clock: Clock): GatehouseError {
  const { state } = toApproval(row, [], clock.now());
  if (state === 'expired') {
    return new GatehouseError(
      'gone',
      'approval.expired',
      'This approval has run out. If the action is still wanted, the agent has to ask again.',
      { extra: { state } },
    );
  }
  return new GatehouseError(
    'conflict',
    'approval.decided',
    `This approval is ${state} already; it can't be decided again.`,
    { extra: { state } },
  );
}

export function inconsistent(): GatehouseError {
  return new GatehouseError(
    'internal',
    'approval.inconsistent',
    'This approval was changed in the database after it was asked for or signed. Nothing can run on it; tell your security team.',
  );
}
