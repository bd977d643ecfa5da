import type { ApprovalContext, ApprovalStatistics, DecidedBy, DecidedSoFar } from '@gatehouse/protocol';
import { limits } from '../platform/index.ts';
import type { Storage } from '../storage/index.ts';

const OPERATOR = 'operator';
/** A yes within this time was hardly read. */
const HASTY_MS = 5_000;
/** Below so many decisions nothing is said of anybody. */
const ENOUGH = 20;
const ROWS_AT_ONCE = 1_000;

interface Decided {
  agent: string;
  tool: string;
  person: string;
  tookMs: number;
  yes: boolean;
}

/** Each yes and each no of a person. */
const answersOf = (db: Storage['db']) =>
  db
    .selectFrom('approval_votes')
    .innerJoin('approvals', 'approvals.id', 'approval_votes.approval')
    .where('approval_votes.person', '!=', OPERATOR);

/** How people have decided in a span of time: over each person, each agent and each tool. `person`: of this one only. */
export async function statisticsOf(
  { db }: Pick<Storage, 'db'>,
  { from, to, person }: { from: number; to: number; person?: string },
): Promise<ApprovalStatistics> {
  const decided: Decided[] = [];
  let after: { at: number; approval: string; number: number } | undefined;
  for (;;) {
    let query = answersOf(db)
      .select([
        'approval_votes.approval',
        'approval_votes.number',
        'approval_votes.person',
        'approval_votes.answer',
        'approval_votes.at',
        'approvals.agent',
        'approvals.tool',
        'approvals.created_at',
      ])
      .where('approval_votes.at', '>=', from)
      .where('approval_votes.at', '<', to);
    if (person !== undefined) query = query.where('approval_votes.person', '=', person);
    const last = after;
    if (last)
      query = query.where(({ or, and, eb }) =>
        or([
          eb('approval_votes.at', '>', last.at),
          and([eb('approval_votes.at', '=', last.at), eb('approval_votes.approval', '>', last.approval)]),
          and([
            eb('approval_votes.at', '=', last.at),
            eb('approval_votes.approval', '=', last.approval),
            eb('approval_votes.number', '>', last.number),
          ]),
        ]),
      );
    const rows = await query
      .orderBy('approval_votes.at')
      .orderBy('approval_votes.approval')
      .orderBy('approval_votes.number')
      .limit(ROWS_AT_ONCE)
      .execute();
    for (const { agent, tool, person: by, answer, at, created_at } of rows)
      decided.push({ agent, tool, person: by, tookMs: at - created_at, yes: answer === 'yes' });
    after = rows.at(-1);
    if (rows.length < ROWS_AT_ONCE || decided.length >= limits.approvalsInStatistics) break;
  }
  const by = (key: (each: Decided) => string) =>
    [...Map.groupBy(decided, key)]
      .map(([of, all]) => summed(of, all))
      .sort((a, b) => b.decided - a.decided || (a.of < b.of ? -1 : 1));
  return {
    from,
    to,
    whole: summed('', decided),
    people: by((each) => each.person),
    agents: by(({ agent }) => agent),
    tools: by(({ tool }) => tool),
    isCut: decided.length >= limits.approvalsInStatistics,
  };
}

/** How often calls of a tool by an agent were decided, by this person and by others. */
export async function decidedSoFar(
  { db }: Pick<Storage, 'db'>,
  of: { agent: string; tool: string; person: string },
): Promise<ApprovalContext['history']> {
  const rows = await answersOf(db)
    .select(({ fn, eb }) => [
      eb('approval_votes.person', '=', of.person).as('isYou'),
      eb('approval_votes.answer', '=', 'yes').as('yes'),
      fn.countAll<number>().as('count'),
      fn.max('approval_votes.at').as('last'),
    ])
    .where('approvals.agent', '=', of.agent)
    .where('approvals.tool', '=', of.tool)
    .groupBy(['isYou', 'yes'])
    .execute();
  const side = (you: boolean): DecidedSoFar => {
    const mine = rows.filter(({ isYou }) => Boolean(isYou) === you);
    const count = (yes: boolean) =>
      mine.filter((row) => Boolean(row.yes) === yes).reduce((sum, row) => sum + Number(row.count), 0);
    const last = Math.max(0, ...mine.map((row) => Number(row.last)));
    return { approved: count(true), denied: count(false), lastAt: last === 0 ? null : last };
  };
  return { you: side(true), others: side(false) };
}

/** The call of this tool by one of these agents that was approved last, but for this one. */
export async function approvedLast(
  { db }: Pick<Storage, 'db'>,
  of: { agents: readonly string[]; tool: string; except: string },
): Promise<ApprovalContext['similar']> {
  if (of.agents.length === 0) return null;
  const row = await db
    .selectFrom('approvals')
    .select(['id', 'agent', 'body', 'decided_at', 'decided_by'])
    .where('agent', 'in', [...of.agents])
    .where('tool', '=', of.tool)
    .where('assertion', 'is not', null)
    .where('state', 'in', ['approved', 'consumed'])
    // Nobody is shown again what is to be erased.
    .where('erasure', 'is', null)
    .where('id', '!=', of.except)
    .orderBy('decided_at', 'desc')
    .limit(1)
    .executeTakeFirst();
  if (!row) return null;
  const { subject } = JSON.parse(row.body) as { subject: { arguments: unknown } };
  return {
    approval: row.id,
    agent: row.agent,
    at: row.decided_at ?? 0,
    by: row.decided_by ?? '',
    arguments: subject.arguments,
  };
}

/** Exported for its test. */
export function summed(of: string, all: readonly Pick<Decided, 'tookMs' | 'yes'>[]): DecidedBy {
  const times = all.map(({ tookMs }) => tookMs).sort((a, b) => a - b);
  const approved = all.filter(({ yes }) => yes).length;
  const hasty = all.filter(({ tookMs, yes }) => yes && tookMs < HASTY_MS).length;
  const sum: DecidedBy = {
    of,
    decided: all.length,
    approved,
    denied: all.length - approved,
    medianMs: median(times),
    hasty,
    remark: null,
  };
  return { ...sum, remark: remarkOn(sum) };
}

function median(sorted: readonly number[]): number | null {
  if (sorted.length === 0) return null;
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : Math.round(((sorted[middle - 1] ?? 0) + upper) / 2);
}

function remarkOn({ decided, approved, medianMs, hasty }: DecidedBy): string | null {
  if (decided < ENOUGH) return null;
  if (approved === decided && (medianMs ?? 0) < HASTY_MS)
    return `All ${decided} were approved, half of them within ${seconds(medianMs ?? 0)}: this looks like rubber-stamping.`;
  if (hasty > decided / 2)
    return `${hasty} of ${decided} were approved within ${seconds(HASTY_MS)}: too fast to have been read.`;
  if (approved === decided) return `All ${decided} were approved: perhaps nobody needs to be asked for this.`;
  return null;
}

const seconds = (ms: number) => `${Math.max(1, Math.round(ms / 1_000))} s`;
