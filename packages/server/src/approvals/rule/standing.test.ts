import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ApproverSource,
  type AskedRule,
  approvalRuleManifest,
  groupManifest,
  personManifest,
} from '@gatehouse/protocol';
import fc from 'fast-check';
import type { Circle, Question } from './circle.ts';
import { mayApprove, standingOf, type Vote, whoMayApprove } from './standing.ts';

const people = ['ada', 'bob', 'cleo', 'dan', 'eve', 'fay'].map((name) => `${name}@example.test`);
const [ADA = '', BOB = '', CLEO = '', DAN = '', EVE = '', FAY = ''] = people;
const NOW = 1_000_000_000;

interface World {
  groups: Record<'red' | 'blue', string[]>;
  approvers: string[];
  deputies: { person: string; deputy: string; madeBy: string; from: number; until: number }[];
}

const circleOf = ({ groups, approvers, deputies }: World): Circle => ({
  snapshot: {
    people: new Map(
      people.map((email) => [
        email,
        personManifest.parse({
          kind: 'Person',
          email,
          displayName: email,
          roles: [approvers.includes(email) ? 'approver' : 'auditor'],
        }),
      ]),
    ),
    groups: new Map(
      Object.entries(groups).map(([name, members]) => [name, groupManifest.parse({ kind: 'Group', name, members })]),
    ),
    onCall: new Map(),
    channels: new Map(),
  },
  deputies: deputies.map((each, at) => ({ id: String(at), ...each })),
});

const question = (more: Partial<Question> & { requesters?: string[] } = {}): Question => ({
  owner: FAY,
  wants: (email) => (more.requesters ?? []).includes(email),
  policyAuthors: [],
  createdAt: NOW - 1_000_000,
  escalatedSeconds: 0,
  ...more,
});

const ruleOf = (more: object): AskedRule => {
  const {
    kind: _,
    description: __,
    ...rule
  } = approvalRuleManifest.parse({ kind: 'ApprovalRule', name: 'rule', ...more });
  return rule;
};

const yes = (...persons: string[]): Vote[] =>
  persons.map((person, at) => ({ person, answer: 'yes', at: NOW, number: at + 1 }));

const plain: World = { groups: { red: [ADA, BOB, CLEO], blue: [CLEO, DAN] }, approvers: [EVE], deputies: [] };

const source: fc.Arbitrary<ApproverSource> = fc.constantFrom<ApproverSource>(
  'owner',
  'role:approver',
  'group:red',
  'group:blue',
  `person:${DAN}`,
);
const someone = fc.constantFrom(...people);
const several = fc.uniqueArray(someone, { maxLength: 4 });
const anyRule = fc
  .record({
    steps: fc.array(
      fc.record({
        approve: fc.integer({ min: 1, max: 3 }),
        from: fc.uniqueArray(source, { minLength: 1, maxLength: 3 }),
        distinct: fc.boolean(),
      }),
      { minLength: 1, maxLength: 3 },
    ),
    order: fc.constantFrom('parallel', 'serial'),
    exclude: fc.uniqueArray(fc.oneof(source, fc.constant('policy-author')), { maxLength: 1 }),
    escalate: fc.array(fc.record({ afterSeconds: fc.constantFrom(100, 5_000), to: fc.tuple(source) }), {
      maxLength: 1,
    }),
  })
  .map(ruleOf);
const anyWorld: fc.Arbitrary<World> = fc.record({
  groups: fc.record({ red: several, blue: several }),
  approvers: several,
  deputies: fc.array(
    fc.record({
      person: someone,
      deputy: someone,
      madeBy: someone,
      from: fc.constantFrom(NOW - 50, NOW + 50),
      until: fc.constantFrom(NOW, NOW + 100),
    }),
    { maxLength: 3 },
  ),
});
const anyCase = fc.record({
  rule: anyRule,
  world: anyWorld,
  votes: fc
    .array(fc.record({ person: someone, answer: fc.constantFrom<'yes' | 'no'>('yes', 'yes', 'yes', 'no') }), {
      maxLength: 7,
    })
    .map((all): Vote[] => all.map((vote, at) => ({ ...vote, at: NOW, number: at + 1 }))),
  requesters: fc.uniqueArray(someone, { maxLength: 2 }),
  policyAuthors: fc.uniqueArray(someone, { maxLength: 2 }),
  escalatedSeconds: fc.constantFrom(0, 100),
});
type Case = typeof anyCase extends fc.Arbitrary<infer T> ? T : never;
const questionIn = ({ requesters, policyAuthors, escalatedSeconds }: Case) =>
  question({ requesters, policyAuthors, escalatedSeconds });

/** The same said once more, from the plain words of the documentation, and slowly. */
function couldBeMet({ rule, world, votes, requesters, policyAuthors, escalatedSeconds }: Case): boolean {
  const is = (entry: string, person: string): boolean =>
    (entry === 'owner' && person === FAY) ||
    (entry === 'role:approver' && world.approvers.includes(person)) ||
    (entry === 'group:red' && world.groups.red.includes(person)) ||
    (entry === 'group:blue' && world.groups.blue.includes(person)) ||
    (entry === 'policy-author' && policyAuthors.includes(person)) ||
    entry === `person:${person}`;
  const isOut = (person: string) => requesters.includes(person) || rule.exclude.some((each) => is(each, person));
  const noes = votes.filter(({ answer }) => answer === 'no').map(({ person }) => person);
  const voters = [...new Set(votes.filter(({ answer }) => answer === 'yes').map(({ person }) => person))].filter(
    (person) => !noes.includes(person) && !isOut(person),
  );
  const speaksFor = (voter: string) => [
    voter,
    ...world.deputies
      .filter(({ person, deputy, madeBy, from, until }) => {
        const isForced = madeBy !== person && requesters.includes(madeBy);
        return deputy === voter && from <= NOW && NOW < until && !isForced && !isOut(person);
      })
      .map(({ person }) => person),
  ];
  const slots = rule.steps.flatMap(({ approve }, step) => Array.from({ length: approve }, () => step));
  const fill = (at: number, used: string[], places: string[], entries: string[]): boolean => {
    const step = slots[at];
    if (step === undefined) return true;
    const escalated = escalatedSeconds >= 100 ? rule.escalate.filter(({ afterSeconds }) => afterSeconds === 100) : [];
    const from = [...(rule.steps[step]?.from ?? []), ...escalated.flatMap(({ to }) => to)];
    return voters.some(
      (voter) =>
        !used.includes(voter) &&
        speaksFor(voter).some(
          (place) =>
            !places.includes(place) &&
            from.some((entry) => {
              const key = `${step} ${entry}`;
              if (!is(entry, place) || (rule.steps[step]?.distinct && entries.includes(key))) return false;
              return fill(at + 1, [...used, voter], [...places, place], [...entries, key]);
            }),
        ),
    );
  };
  return fill(0, [], [], []);
}

const runs = { numRuns: 1_500 };

/** @proves law-4.rule */
test('no answers that do not meet a rule ever approve, and those that do always do', () => {
  fc.assert(
    fc.property(anyCase, (given) => {
      const { rule, votes, world } = given;
      const { isMet } = standingOf(rule, votes, questionIn(given), circleOf(world), NOW);
      const could = couldBeMet(given);
      assert.ok(!isMet || could);
      if (rule.order === 'parallel') assert.equal(isMet, could);
    }),
    runs,
  );
});

/** @proves law-4.excluded */
test('nobody excluded counts, nobody speaks for them, and nobody and no place counts twice', () => {
  fc.assert(
    fc.property(anyCase, (given) => {
      const { rule, votes, world, requesters, policyAuthors } = given;
      const { steps } = standingOf(rule, votes, questionIn(given), circleOf(world), NOW);
      const all = steps.flatMap(({ given: some }) => some);
      assert.equal(new Set(all.map(({ person }) => person)).size, all.length);
      assert.equal(new Set(all.map(({ of }) => of)).size, all.length);
      for (const { person, of } of all)
        for (const each of [person, of]) {
          assert.ok(!requesters.includes(each));
          if (rule.exclude.includes('policy-author')) assert.ok(!policyAuthors.includes(each));
        }
      for (const { approve, given: some } of steps) assert.ok(some.length <= approve);
      for (const each of whoMayApprove([rule], votes, questionIn(given), circleOf(world), NOW))
        assert.ok(!requesters.includes(each));
    }),
    runs,
  );
});

test('whoever is said to be able to bring it further does, and nobody else', () => {
  fc.assert(
    fc.property(anyCase, (given) => {
      const { rule, votes, world } = given;
      const circle = circleOf(world);
      const listed = whoMayApprove([rule], votes, questionIn(given), circle, NOW);
      const able = people.filter((person) => mayApprove([rule], votes, person, questionIn(given), circle, NOW));
      assert.deepEqual(listed, able);
      const before = standingOf(rule, votes, questionIn(given), circle, NOW);
      for (const person of people) {
        const after = standingOf(
          rule,
          [...votes, { person, answer: 'yes', at: NOW, number: 100 }],
          questionIn(given),
          circle,
          NOW,
        );
        if (!able.includes(person)) assert.ok(after.counted.size <= before.counted.size);
      }
    }),
    { numRuns: 1_000 },
  );
});

test('of several entries each yes takes another one where that is asked', () => {
  const rule = ruleOf({ steps: [{ approve: 2, from: ['group:red', 'group:blue'], distinct: true }] });
  const met = (...persons: string[]) => standingOf(rule, yes(...persons), question(), circleOf(plain), NOW).isMet;
  assert.equal(met(ADA, BOB), false);
  assert.equal(met(ADA, DAN), true);
  // Who is in both makes room for the other.
  assert.equal(met(CLEO, ADA), true);
  assert.equal(met(CLEO, DAN), true);
});

test('steps in series wait for each other, and a yes that came too early has to be said again', () => {
  const rule = ruleOf({
    order: 'serial',
    steps: [
      { approve: 2, from: ['group:red'] },
      { approve: 1, from: ['group:blue'] },
    ],
  });
  const circle = circleOf(plain);
  const may = (...persons: string[]) => whoMayApprove([rule], yes(...persons), question(), circle, NOW);
  assert.deepEqual(may(), [ADA, BOB, CLEO]);
  assert.deepEqual(may(ADA, BOB), [CLEO, DAN]);
  assert.equal(standingOf(rule, yes(DAN, ADA, BOB), question(), circle, NOW).isMet, false);
  assert.equal(standingOf(rule, yes(DAN, ADA, BOB, DAN), question(), circle, NOW).isMet, true);
});

test('a deputy takes the place of one person, once, and not of whoever wants it', () => {
  const rule = ruleOf({ steps: [{ approve: 2, from: ['group:red'] }] });
  const deputies = [{ person: ADA, deputy: DAN, madeBy: ADA, from: NOW - 1, until: NOW + 1 }];
  const met = (persons: string[], more = {}, of = deputies) =>
    standingOf(rule, yes(...persons), question(more), circleOf({ ...plain, deputies: of }), NOW).isMet;
  assert.equal(met([DAN, BOB]), true);
  assert.equal(met([DAN, ADA]), false);
  assert.equal(met([DAN, BOB], { requesters: [ADA] }), false);
  assert.equal(
    met(
      [DAN, BOB],
      { requesters: [EVE] },
      deputies.map((each) => ({ ...each, madeBy: EVE })),
    ),
    false,
  );
  assert.equal(
    met(
      [DAN, BOB],
      {},
      deputies.map((each) => ({ ...each, until: NOW })),
    ),
    false,
  );
  // In their own right a deputy of the requester may.
  assert.equal(
    met(
      [CLEO, BOB],
      { requesters: [ADA] },
      deputies.map((each) => ({ ...each, deputy: CLEO })),
    ),
    true,
  );
});

test('a yes lasts as long as the rule says, and can be said again', () => {
  const rule = ruleOf({ steps: [{ approve: 2, from: ['group:red'] }], yesLastsSeconds: 60 });
  const at = (now: number, votes: Vote[]) => standingOf(rule, votes, question(), circleOf(plain), now);
  assert.equal(at(NOW + 59_999, yes(ADA)).counted.size, 1);
  assert.equal(at(NOW + 60_000, yes(ADA)).counted.size, 0);
  const again: Vote[] = [...yes(ADA, BOB), { person: ADA, answer: 'yes', at: NOW + 50_000, number: 3 }];
  assert.deepEqual([...at(NOW + 60_000, again).counted], [ADA]);
});
