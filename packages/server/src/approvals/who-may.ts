import type { Approval, ApproverSource, AskedRule, PersonManifest, Role } from '@gatehouse/protocol';
import { GatehouseError } from '../platform/index.ts';
import { type Circle, type Deputyship, type Question, whoIsAmong } from './rule/circle.ts';
import { isExcluded, mayApprove, ordinaryRule, standingOf } from './rule/standing.ts';

/** Each of them ends it alone: a no only narrows. */
const MAY_END: Role[] = ['security', 'admin'];

/** Who has to say yes to this. */
export const rulesOf = ({ rules }: Pick<Approval, 'rules'>): readonly AskedRule[] =>
  rules.length > 0 ? rules : [ordinaryRule];

/** `owner`: of the agent, now. */
export function questionOf(approval: Approval, owner: string): Question {
  const { requestedBy, onBehalfOf, delegated, policyAuthors, createdAt, escalatedSeconds } = approval;
  // The first two as the agent declared them: they can take somebody out of the circle and bring nobody in (law 9). The last as was proven.
  const declared = [requestedBy, onBehalfOf, delegated?.user ?? null];
  const wants = (email: string) => declared.some((each) => names(each, email));
  return { owner, wants, policyAuthors, createdAt, escalatedSeconds };
}

/** Throws unless a yes of this person counts now (law 4). */
export function requireApprover(
  email: string,
  approval: Approval,
  question: Question,
  circle: Circle,
  now: number,
  through?: { channel: string; who: string },
): void {
  const refuse = (code: string, message: string) => new GatehouseError('forbidden', code, message);
  const rules = rulesOf(approval);
  if (question.wants(email))
    throw refuse(
      'approval.requester',
      'This action was asked for by you or is done for you, so that somebody else has to approve it.',
    );
  if (mayApprove(rules, approval.votes, email, question, circle, now, through)) return;
  if (through !== undefined && mayApprove(rules, approval.votes, email, question, circle, now))
    throw refuse(
      'approval.passkey-needed',
      `A yes in ${through.channel} is not enough: no rule of this accepts that channel. Open its page and approve it with a passkey.`,
    );
  const standings = rules.map((rule) => ({ rule, standing: standingOf(rule, approval.votes, question, circle, now) }));
  if (standings.some(({ standing }) => standing.counted.has(email)))
    throw new GatehouseError(
      'conflict',
      'approval.already-said',
      'You have said yes to this already; it waits for somebody else.',
    );
  if (circle.snapshot.people.has(email) && rules.every((rule) => isExcluded(rule, email, now, question, circle)))
    throw refuse(
      'approval.excluded',
      'The rule of this approval excludes you (the author of the policy, for example), so that somebody else has to approve it.',
    );
  if (approval.rules.length === 0)
    throw refuse(
      'approval.not-approver',
      "Only the agent's owner or somebody with the role approver can approve this. Ask one of them.",
    );
  const waitsFor = standings.flatMap(({ rule, standing }) =>
    standing.steps
      .filter(({ isOpen }) => isOpen)
      .map(({ approve, given, from }) => `${approve - given.length} of ${from.join(', ')} (${rule.name})`),
  );
  throw refuse(
    'approval.not-approver',
    `A yes of yours does not count here now. It waits for ${waitsFor.join('; ') || 'nobody'}. Ask one of them.`,
  );
}

/** The deputyships on which a yes of this person would count now, where it takes another's place. */
export function inPlaceOf(
  email: string,
  approval: Approval,
  question: Question,
  circle: Circle,
  now: number,
  through?: { channel: string; who: string },
): Deputyship[] {
  const yes = { person: email, answer: 'yes', at: now, number: Number.POSITIVE_INFINITY } as const;
  const votes = [...approval.votes, { ...yes, ...through }];
  const seats = rulesOf(approval).flatMap((rule) =>
    standingOf(rule, votes, question, circle, now).steps.flatMap(({ given }) => given),
  );
  const places = new Set(seats.filter(({ person }) => person === email).map(({ of }) => of));
  return [...circle.deputies].filter(
    ({ person, deputy, from, until }) => deputy === email && places.has(person) && from <= now && now < until,
  );
}

/** Throws unless this person may deny; says whether their no ends it alone. */
export function requireDenier(
  person: PersonManifest | undefined,
  approval: Approval,
  question: Question,
  circle: Circle,
  now: number,
): { endsAlone: boolean } {
  const hasRole = (role: Role) => person?.roles.includes(role) ?? false;
  if (person && (person.email === question.owner || MAY_END.some(hasRole))) return { endsAlone: true };
  if (hasRole('approver')) return { endsAlone: approval.rules.length === 0 };
  if (person && namedFor(approval, question, circle, now).has(person.email)) return { endsAlone: false };
  throw new GatehouseError(
    'forbidden',
    'approval.not-approver',
    "Only the agent's owner, approvers, those whom its rules name, security and admins can deny this.",
  );
}

/** Everybody whom the rules name, at any step and after any escalation, and those who are their deputies. */
export function namedFor(approval: Approval, question: Question, circle: Circle, now: number): Set<string> {
  const sources: ApproverSource[] = rulesOf(approval).flatMap(({ steps, escalate }) => [
    ...steps.flatMap(({ from }) => from),
    ...escalate.flatMap(({ to }) => to),
  ]);
  // Who is on call changes while it waits: whoever said something then stays named.
  const moments = [...new Set([now, ...approval.votes.map(({ at }) => at)])];
  const named = new Set(moments.flatMap((at) => [...whoIsAmong(sources, at, question, circle)]));
  for (const { person, deputy } of circle.deputies) if (named.has(person)) named.add(deputy);
  return named;
}

/** So many noes end it, of those whose no does not end it alone. */
export const noesToEnd = (approval: Approval): number => Math.min(...rulesOf(approval).map(({ deny }) => deny));

/** Whether those who said yes could say it today. */
export function stands(approval: Approval, question: Question, circle: Circle): boolean {
  // How long a yes lasts is in when the approval runs out.
  const at = approval.decidedAt ?? 0;
  return rulesOf(approval).every((rule) => standingOf(rule, approval.votes, question, circle, at).isMet);
}

/** Whether a declared text names this address in any of the ways people write one (`person:A@B`, `Name <a@b>`, `mailto:a@b`). */
export function names(declared: string | null, email: string): boolean {
  const plain = (text: string) => text.normalize('NFKC').toLowerCase();
  return plain(declared ?? '')
    .split(/[\s<>()[\]"',;]+/)
    .some((word) => word.replace(/^([a-z]+:)+(\/\/)?/, '') === plain(email));
}
