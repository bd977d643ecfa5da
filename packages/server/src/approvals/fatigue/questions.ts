import type { Asking } from '@gatehouse/protocol';
import { GatehouseError, limits } from '../../platform/index.ts';
import type { DatabaseTransaction } from '../../storage/index.ts';
import { sameAction } from '../subject.ts';
import type { ApprovalSubject } from '../types.ts';

const HOUR_MS = 3_600_000;

/**
 * What one question has in common with another of the same agent: the call and for whom it is proven to be, not the task that it is asked in.
 * Whom an agent only names does not count: it could name another each time.
 */
const questionOf = (subject: ApprovalSubject): string => {
  const user = subject.delegated?.user ?? null;
  return sameAction({
    ...subject,
    task: '',
    delegated: user === null ? null : { user, chain: [], narrowing: [] },
    rules: [],
  });
};

/**
 * Throws where nobody is to be asked about this now: the same was denied a short while ago, or the agent has asked too often. A changed
 * argument, tool, policy or epoch of the agent is another question; a new task is not.
 */
export async function requireQuestion(
  transaction: DatabaseTransaction,
  now: number,
  subject: ApprovalSubject,
  settings: readonly (Asking | undefined)[],
): Promise<void> {
  const least = (member: keyof Asking, otherwise: number) =>
    settings.map((each) => each?.[member]).reduce<number>((all, each) => Math.min(all, each ?? all), otherwise);
  const most = settings.map((each) => each?.deniedForSeconds).filter((each) => each !== undefined);
  const deniedForMs = (most.length > 0 ? Math.max(...most) : limits.deniedForSeconds) * 1_000;
  const perHour = settings.some((each) => each?.perHour !== undefined)
    ? least('perHour', Number.POSITIVE_INFINITY)
    : limits.questionsPerAgentAndHour;
  await requireNotDenied(transaction, now, subject, deniedForMs);
  await requireRoom(transaction, now, subject.agent, perHour);
  const user = subject.delegated?.user ?? null;
  if (user !== null)
    await requireRoom(transaction, now, subject.agent, least('perUserHour', Math.ceil(perHour / 2)), user);
}

async function requireNotDenied(
  transaction: DatabaseTransaction,
  now: number,
  subject: ApprovalSubject,
  deniedForMs: number,
): Promise<void> {
  if (deniedForMs === 0) return;
  const denied = await transaction
    .selectFrom('approvals')
    .select(['id', 'body', 'decided_at', 'decided_by', 'reason'])
    .where('agent', '=', subject.agent)
    .where('state', '=', 'denied')
    .where('decided_at', '>', now - deniedForMs)
    .orderBy('decided_at', 'desc')
    .limit(limits.questionsPerAgentAndHour)
    .execute();
  const same = questionOf(subject);
  const no = denied
    .map((row) => ({ ...row, subject: (JSON.parse(row.body) as { subject: ApprovalSubject }).subject }))
    .find((row) => questionOf(row.subject) === same);
  if (!no) return;
  const again = (no.decided_at ?? 0) + deniedForMs;
  // What somebody has written is for the task that asked; another may not be meant to see what that one is about.
  const why = no.reason === null || no.subject.task !== subject.task ? '' : ` They say: "${no.reason}".`;
  throw new GatehouseError(
    'conflict',
    'approval.denied-lately',
    `${no.decided_by} denied exactly this call (${no.id}).${why} Nobody is asked about it again before ${timeInWords(again)}; do something else, or end the task.`,
    { extra: { approval: no.id, deniedBy: no.decided_by, again: new Date(again).toISOString() } },
  );
}

async function requireRoom(
  transaction: DatabaseTransaction,
  now: number,
  agent: string,
  perHour: number,
  user?: string,
): Promise<void> {
  let query = transaction
    .selectFrom('approvals')
    .select('created_at')
    .where('agent', '=', agent)
    .where('created_at', '>', now - HOUR_MS);
  if (user !== undefined) query = query.where('asked_for', '=', user);
  const asked = await query.orderBy('created_at', 'desc').limit(perHour).execute();
  const oldest = asked[perHour - 1];
  if (!oldest) return;
  const again = oldest.created_at + HOUR_MS;
  throw new GatehouseError(
    'too-many',
    'approval.too-often',
    `${agent} has asked people ${perHour} times${user === undefined ? '' : ` for ${user}`} within the last hour, which is the most. What needs a person is refused until ${timeInWords(again)}; do what needs none, or end the task.`,
    { extra: { again: new Date(again).toISOString() } },
  );
}

const timeInWords = (at: number) => `${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
