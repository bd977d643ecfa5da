import type { ApprovalVote, ApproverSource, AskedRule } from '@gatehouse/protocol';
import { type Circle, type Deputyship, isAmong, type Question, whoIsAmong } from './circle.ts';
import { type Ballot, type Seated, seat } from './seats.ts';

export type Vote = Pick<ApprovalVote, 'person' | 'answer' | 'at' | 'number' | 'channel' | 'who'>;

export interface StepStanding {
  approve: number;
  from: ApproverSource[];
  distinct: boolean;
  given: Seated[];
  isOpen: boolean;
}

export interface Standing {
  isMet: boolean;
  steps: StepStanding[];
  /** Whose yes counts. */
  counted: ReadonlySet<string>;
}

/** Where nobody has named a rule. */
export const ordinaryRule: AskedRule = {
  name: '',
  steps: [{ approve: 1, from: ['owner', 'role:approver'], distinct: false }],
  order: 'parallel',
  deny: 1,
  exclude: [],
  escalate: [],
};

const SECOND_MS = 1_000;

/** How a rule stands with these answers, by who people are now. Nothing is kept: the same answers may be worth less tomorrow. */
export function standingOf(
  rule: AskedRule,
  votes: readonly Vote[],
  question: Question,
  circle: Circle,
  now: number,
): Standing {
  const said = yesses(rule, votes, circle, now);
  const steps = rule.steps.map((step): StepStanding => ({ ...step, given: [], isOpen: false }));
  const taken = new Set<string>();
  let since = 0;
  for (const round of rounds(rule)) {
    const waiting = said.filter(({ person, number }) => !taken.has(person) && number > since);
    const { counted, seated } = seat(
      round.map((at) => rule.steps[at] as AskedRule['steps'][number]),
      waiting.map((vote) => ballotOf(rule, round, vote, taken, question, circle)),
    );
    for (const each of seated) {
      const at = round[each.step] as number;
      steps[at]?.given.push({ ...each, step: at });
      taken.add(each.person).add(each.of);
    }
    const isRoundMet = round.every((at) => steps[at]?.given.length === steps[at]?.approve);
    if (!isRoundMet) {
      for (const at of round) if (steps[at]) steps[at].isOpen = steps[at].given.length < steps[at].approve;
      break;
    }
    since = Math.max(since, ...waiting.filter(({ person }) => counted.has(person)).map(({ number }) => number));
  }
  return {
    isMet: steps.every(({ given, approve }) => given.length === approve),
    steps,
    counted: new Set(steps.flatMap(({ given }) => given.map(({ person }) => person))),
  };
}

/** Steps that are open at the same time: all of them, or one after the other. */
const rounds = ({ order, steps }: AskedRule): number[][] =>
  order === 'serial' ? steps.map((_, at) => [at]) : [steps.map((_, at) => at)];

/** In the order in which they were said, the last of each. Who has said no as well has taken the yes back. */
function yesses(rule: AskedRule, votes: readonly Vote[], circle: Circle, now: number): Vote[] {
  const noes = new Set(votes.filter(({ answer }) => answer === 'no').map(({ person }) => person));
  const lasts = (rule.yesLastsSeconds ?? Number.POSITIVE_INFINITY) * SECOND_MS;
  const last = new Map<string, Vote>();
  for (const vote of votes)
    if (vote.answer === 'yes' && accepts(rule, vote, circle) && !noes.has(vote.person) && vote.at + lasts > now)
      if (vote.number > (last.get(vote.person)?.number ?? 0)) last.set(vote.person, vote);
  return [...last.values()].sort((a, b) => a.number - b.number);
}

/** A passkey's always; another only where the rule says so, and while the channel still says that this is who said it. */
function accepts({ accept = [] }: AskedRule, { person, channel, who }: Vote, { snapshot }: Circle): boolean {
  if (channel === undefined) return true;
  const people = snapshot.channels.get(channel)?.people ?? {};
  return (
    accept.includes(`channel:${channel}`) && who !== undefined && Object.hasOwn(people, who) && people[who] === person
  );
}

/** As whom somebody can be counted, in the steps of this round. */
function ballotOf(
  rule: AskedRule,
  round: readonly number[],
  { person, at }: Pick<Vote, 'person' | 'at'>,
  taken: ReadonlySet<string>,
  question: Question,
  circle: Circle,
): Ballot {
  const places = placesOf(rule, person, at, question, circle).filter((of) => !taken.has(of));
  return {
    person,
    seats: places.map((of) => ({
      of,
      entries: round.flatMap((step, index) => {
        const from = new Set(fromOf(rule, step, at, question));
        const speaker = circle.snapshot.people.get(of);
        if (!speaker) return [];
        return [...from]
          .filter((source) => isAmong(source, speaker, at, question, circle))
          .map((source) => ({ step: index, source }));
      }),
    })),
  };
}

/** Their own place first, then the places of those whose deputy they were. INVARIANT: nobody excluded speaks, and nobody speaks for them. */
function placesOf(rule: AskedRule, person: string, at: number, question: Question, circle: Circle): string[] {
  if (isExcluded(rule, person, at, question, circle)) return [];
  const others = [...circle.deputies]
    .filter((each) => each.deputy === person && each.from <= at && at < each.until && !isSuspect(each, question))
    .map((each) => each.person)
    .filter((other) => !isExcluded(rule, other, at, question, circle));
  return [person, ...new Set(others.filter((other) => other !== person))];
}

/** Who wants something does not choose who speaks for those who decide. */
const isSuspect = ({ person, madeBy }: Deputyship, { wants }: Question) =>
  madeBy !== person && (wants(madeBy) || wants(person));

export function isExcluded(rule: AskedRule, email: string, at: number, question: Question, circle: Circle): boolean {
  const person = circle.snapshot.people.get(email);
  if (!person || question.wants(email)) return true;
  return rule.exclude.some((each) => {
    if (each === 'requester') return false;
    if (each === 'policy-author') return question.policyAuthors.includes(email);
    return isAmong(each, person, at, question, circle);
  });
}

/** Whom a step names, with those to whom it was escalated by then. */
export function fromOf(rule: AskedRule, step: number, at: number, question: Question): ApproverSource[] {
  const escalated = rule.escalate.filter(
    ({ afterSeconds }) =>
      afterSeconds <= question.escalatedSeconds && question.createdAt + afterSeconds * SECOND_MS <= at,
  );
  return [...(rule.steps[step]?.from ?? []), ...escalated.flatMap(({ to }) => to)];
}

/** Whether a yes of this person would bring it further now. */
export function mayApprove(
  rules: readonly AskedRule[],
  votes: readonly Vote[],
  person: string,
  question: Question,
  circle: Circle,
  now: number,
  through?: Pick<Vote, 'channel' | 'who'>,
): boolean {
  if (votes.some((vote) => vote.person === person && vote.answer === 'no')) return false;
  const number = Number.POSITIVE_INFINITY;
  const yes: Vote = { person, answer: 'yes', at: now, number, ...through };
  return rules.some((rule) => {
    const before = standingOf(rule, votes, question, circle, now);
    return !before.isMet && standingOf(rule, [...votes, yes], question, circle, now).counted.size > before.counted.size;
  });
}

/** Everybody whose yes would bring it further now. */
export function whoMayApprove(
  rules: readonly AskedRule[],
  votes: readonly Vote[],
  question: Question,
  circle: Circle,
  now: number,
): string[] {
  const named = new Set<ApproverSource>();
  for (const rule of rules)
    for (const [at] of rule.steps.entries()) for (const each of fromOf(rule, at, now, question)) named.add(each);
  const places = whoIsAmong(named, now, question, circle);
  for (const { person, deputy } of circle.deputies) if (places.has(person)) places.add(deputy);
  return [...places].filter((person) => mayApprove(rules, votes, person, question, circle, now)).sort();
}
