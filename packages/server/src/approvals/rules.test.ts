import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type AskedRule, approvalRuleManifest, type ManifestInput, manifest } from '@gatehouse/protocol';
import type { RequestOptions, SoftwarePasskey } from '../../../sdk/src/software-passkey.ts';
import { onEachDatabase, onPostgres } from '../identity/people/testing/databases.ts';
import { type House, ORIGIN } from '../identity/people/testing/house.ts';
import { newSalt } from '../platform/index.ts';
import { createApprovals } from './approvals.ts';
import { subjectDigest } from './subject.ts';
import {
  APPROVER,
  AUDITOR,
  addAgent,
  approve,
  asAsked,
  consume,
  OWNER,
  openDesk,
  requestOf,
  signed,
} from './testing/desk.ts';
import type { Approvals, Tell } from './types.ts';

const FIN = ['fin-1@example.test', 'fin-2@example.test', 'fin-3@example.test'] as const;
const [ONE, TWO, THREE] = FIN;
const LEGAL = 'legal@example.test';

const ruleOf = (more: object): AskedRule => {
  const {
    kind: _,
    description: __,
    ...rule
  } = approvalRuleManifest.parse({ kind: 'ApprovalRule', name: 'rule', ...more });
  return rule;
};
const twoFromFinance = ruleOf({ steps: [{ approve: 2, from: ['group:finance'] }] });

async function apply(house: House, ...inputs: ManifestInput[]): Promise<void> {
  await house.registry.apply(
    inputs.map((input) => manifest.parse(input)),
    { prune: false, by: 'gatehouse' },
  );
}
const finance = (house: House, members: readonly string[]) =>
  apply(house, { kind: 'Group', name: 'finance', members: [...members] });

async function furnish(house: House): Promise<Map<string, SoftwarePasskey>> {
  const passkeys = new Map<string, SoftwarePasskey>();
  for (const email of [...FIN, LEGAL]) {
    await house.declare(email, 'auditor');
    passkeys.set(email, (await house.enrol(email, { counter: 'none' })).passkey);
  }
  for (const email of [OWNER, APPROVER, AUDITOR])
    passkeys.set(email, (await house.enrol(email, { counter: 'none' })).passkey);
  await finance(house, FIN);
  await apply(house, { kind: 'Group', name: 'legal', members: [LEGAL, THREE] });
  return passkeys;
}

onEachDatabase('approvals by rule', (database) => {
  let house: House;
  let approvals: Approvals;
  let passkeys: Map<string, SoftwarePasskey>;
  const told: [string, string[]][] = [];
  const tell: Tell = {
    onAsked: async (_, approval, people) => void told.push([`asked ${approval.id}`, people]),
    onEscalated: async (_, approval, people) => void told.push([`escalated ${approval.id}`, people]),
  };
  before(async () => {
    const desk = await openDesk({ database: await database() });
    house = desk.house;
    passkeys = await furnish(house);
    approvals = await createApprovals({ ...house, tell });
  });
  after(() => house.close());

  let number = 0;
  async function waiting(rules: AskedRule[], more: Parameters<typeof requestOf>[1] = {}) {
    const request = requestOf({ ...(await addAgent(house, `agent-${++number}`)), rules }, more);
    return approvals.open(request);
  }
  const yes = (approval: { id: string }, person: string) =>
    approve(approvals, approval as never, person, passkeys.get(person) as SoftwarePasskey);
  const operations = async (id: string) =>
    (await house.records()).filter(({ approval }) => approval === id).map(({ operation }) => operation);

  /** @proves law-4.rule */
  test('two of a group say yes, each with their own passkey; one alone, twice, or somebody else does not do', async () => {
    const approval = await waiting([twoFromFinance]);
    assert.deepEqual(approvals.progress(approval).mayApprove, [...FIN]);
    await assert.rejects(yes(approval, APPROVER), { code: 'approval.not-approver' });
    await assert.rejects(approvals.approve(approval.id, OWNER, {}), { code: 'approval.not-approver' });
    const first = await yes(approval, ONE);
    assert.equal(first.state, 'pending');
    assert.equal(approvals.find(asAsked(approval))?.state, 'pending');
    await assert.rejects(yes(approval, ONE), { code: 'approval.already-said' });
    const progress = approvals.progress(first);
    assert.deepEqual(progress.mayApprove, [TWO, THREE]);
    assert.deepEqual(progress.rules[0]?.steps[0]?.given, [{ person: ONE, for: null, as: 'group:finance' }]);
    assert.equal(progress.rules[0]?.steps[0]?.missing, 1);
    assert.equal((await yes(approval, TWO)).state, 'approved');
    assert.equal(approvals.find(asAsked(approval))?.state, 'approved');
    assert.deepEqual(await operations(approval.id), [
      'approval.request',
      'approval.approve.refuse',
      'approval.vote',
      'approval.approve',
    ]);
    assert.equal((await approvals.signed(approval.id))?.yes.length, 2);
    assert.equal((await consume(house, approval, approval.actionId)).ok, true);
  });

  test('one signature is one yes: that of another person, or of another approval, counts for nothing', async () => {
    const [approval, other] = [await waiting([twoFromFinance]), await waiting([twoFromFinance])];
    const foreign = await signed(approvals, other, ONE, passkeys.get(ONE) as SoftwarePasskey);
    await assert.rejects(approvals.approve(approval.id, ONE, foreign), { code: 'passkey.not-verified' });
    const own = await signed(approvals, approval, ONE, passkeys.get(ONE) as SoftwarePasskey);
    await assert.rejects(approvals.approve(approval.id, TWO, own), { code: 'passkey.not-verified' });
  });

  test('where several rules are named each has to be met', async () => {
    const approval = await waiting([
      ruleOf({ name: 'a-finance', steps: [{ from: ['group:finance'] }] }),
      ruleOf({ name: 'b-legal', steps: [{ from: ['group:legal'] }] }),
    ]);
    assert.equal((await yes(approval, ONE)).state, 'pending');
    assert.equal((await yes(approval, LEGAL)).state, 'approved');
  });

  /** @proves law-4.rule-bound */
  test('a rule is part of what is approved: changed in any way it waits again', async () => {
    const { digest, ...subject } = {
      digest: '',
      ...requestOf({ ...(await addAgent(house, `agent-${++number}`)), argumentsSalt: newSalt() }).subject,
    };
    const digestWith = (rules: AskedRule[]) => subjectDigest({ ...subject, rules });
    const seen = new Set([digest, subjectDigest(subject)]);
    for (const more of [
      {},
      { name: 'other' },
      { steps: [{ approve: 3, from: ['group:finance'] }] },
      { steps: [{ approve: 2, from: ['group:legal'] }] },
      { steps: [{ approve: 2, from: ['group:finance'], distinct: true }] },
      { steps: [{ approve: 2, from: ['group:finance'] }, { from: ['owner'] }] },
      { order: 'serial' },
      { deny: 2 },
      { exclude: ['policy-author'] },
      { expiresAfterSeconds: 60 },
      { yesLastsSeconds: 60 },
      { escalate: [{ afterSeconds: 60, to: ['owner'] }] },
    ]) {
      const changed = digestWith([ruleOf({ ...twoFromFinance, ...more })]);
      assert.ok(!seen.has(changed), JSON.stringify(more));
      seen.add(changed);
    }
    assert.equal(digestWith([]), subjectDigest(subject));
  });

  /** @proves law-4.standing */
  test('who leaves the group, or the house, before the call runs has not said yes', async () => {
    const approval = await waiting([twoFromFinance]);
    await yes(approval, ONE);
    await yes(approval, TWO);
    assert.deepEqual(approvals.peopleOf((await approvals.get(approval.id)) as never), [ONE, TWO]);
    await finance(house, [ONE, THREE]);
    assert.equal(approvals.find(asAsked(approval))?.state, 'pending');
    await approvals.expire();
    assert.equal((await approvals.get(approval.id))?.state, 'cancelled');
    assert.ok((await operations(approval.id)).includes('approval.lapse'));
    await finance(house, FIN);
  });

  test('a yes before somebody left the group is missing again, and another one takes its place', async () => {
    const approval = await waiting([twoFromFinance]);
    await yes(approval, ONE);
    await finance(house, [TWO, THREE]);
    assert.equal((await yes(approval, TWO)).state, 'pending');
    assert.equal((await yes(approval, THREE)).state, 'approved');
    await finance(house, FIN);
  });

  test('an approver who loses the role before the call runs has not approved it either', async () => {
    await house.declare('brief@example.test', 'approver');
    const { passkey } = await house.enrol('brief@example.test', { counter: 'none' });
    const approval = await waiting([]);
    await approve(approvals, approval, 'brief@example.test', passkey);
    assert.equal(approvals.find(asAsked(approval))?.state, 'approved');
    await house.declare('brief@example.test', 'auditor');
    assert.equal(approvals.find(asAsked(approval))?.state, 'pending');
  });

  /** @proves law-4.excluded */
  test('who asked, and whoever the rule excludes, does not count, nor through a deputy', async () => {
    const asked = await waiting([twoFromFinance], { requestedBy: ONE });
    await assert.rejects(yes(asked, ONE), { code: 'approval.requester' });
    const excluding = await waiting([ruleOf({ ...twoFromFinance, exclude: ['person:fin-2@example.test'] })]);
    await assert.rejects(yes(excluding, TWO), { code: 'approval.excluded' });
    const until = new Date(house.clock.now() + 3_600_000).toISOString();
    const made = await approvals.deputies.createFor(ONE, { deputy: LEGAL, until, reason: '' }, APPROVER);
    const options = (await approvals.deputies.confirmOptions(made.id, ONE)) as unknown as RequestOptions;
    const assertion = (passkeys.get(ONE) as SoftwarePasskey).assert(options, ORIGIN);
    await approvals.deputies.confirm(made.id, ONE, { ...assertion });
    await approvals.refresh([{ topic: 'deputy', key: made.id } as never]);
    await assert.rejects(yes(asked, LEGAL), { code: 'approval.not-approver' });
    const other = await waiting([twoFromFinance]);
    const given = await yes(other, LEGAL);
    assert.deepEqual(approvals.progress(given).rules[0]?.steps[0]?.given, [
      { person: LEGAL, for: ONE, as: 'group:finance' },
    ]);
    // The place is taken.
    await assert.rejects(yes(other, ONE), { code: 'approval.not-approver' });
    await approvals.deputies.withdraw(made.id, `person:${ONE}`);
    await approvals.refresh([{ topic: 'deputy', key: made.id } as never]);
    assert.equal((await yes(other, ONE)).state, 'pending');
    assert.equal((await yes(other, TWO)).state, 'approved');
  });

  test('a person names a deputy with their passkey, for a time; nobody names themselves', async () => {
    const until = new Date(house.clock.now() + 3_600_000).toISOString();
    const wanted = { deputy: LEGAL, until, reason: 'away' };
    const passkey = passkeys.get(TWO) as SoftwarePasskey;
    const options = (await approvals.deputies.options(TWO, wanted)) as unknown as RequestOptions;
    const assertion = { ...passkey.assert(options, ORIGIN) };
    await assert.rejects(approvals.deputies.create(TWO, { ...wanted, deputy: AUDITOR }, assertion), {
      code: 'passkey.not-verified',
    });
    await assert.rejects(approvals.deputies.create(ONE, wanted, assertion), { code: 'passkey.not-verified' });
    const made = await approvals.deputies.create(TWO, wanted, assertion);
    assert.deepEqual([made.state, made.madeBy], ['in-force', `person:${TWO}`]);
    const [record] = await house.records('deputy.create').then((all) => all.slice(-1));
    assert.ok(record?.changes.some((change) => change.startsWith('assertion sha256-')));
    await assert.rejects(approvals.deputies.createFor(TWO, { ...wanted, deputy: APPROVER }, APPROVER), {
      code: 'deputy.own',
    });
    const year = new Date(house.clock.now() + 365 * 86_400_000).toISOString();
    for (const bad of [
      { ...wanted, until: year },
      { ...wanted, until: new Date(0).toISOString() },
      { ...wanted, deputy: TWO },
    ])
      await assert.rejects(approvals.deputies.options(TWO, bad), /deputy|themsel|own/i);
    await approvals.deputies.withdraw(made.id, `person:${TWO}`);
    await assert.rejects(approvals.deputies.withdraw(made.id, `person:${TWO}`), { code: 'deputy.over' });
  });

  test('as many noes as the rule says end it; whoever is responsible ends it alone', async () => {
    const rule = ruleOf({ ...twoFromFinance, deny: 2 });
    const approval = await waiting([rule]);
    assert.equal((await approvals.deny(approval.id, ONE, 'not mine')).state, 'pending');
    assert.equal((await approvals.deny(approval.id, ONE, 'again')).state, 'pending');
    assert.equal((await approvals.deny(approval.id, TWO, 'neither')).state, 'denied');
    assert.equal((await approvals.deny((await waiting([rule])).id, OWNER, '')).state, 'denied');
    assert.equal((await approvals.deny((await waiting([rule])).id, 'operator', '')).state, 'denied');
    await assert.rejects(approvals.deny((await waiting([rule])).id, AUDITOR, ''), { code: 'approval.not-approver' });
    // A no takes a yes back, and ends what was approved.
    const changed = await waiting([rule]);
    await yes(changed, ONE);
    await approvals.deny(changed.id, ONE, 'looked again');
    assert.equal((await yes(changed, TWO)).state, 'pending');
    assert.equal((await yes(changed, THREE)).state, 'approved');
    assert.equal((await approvals.deny(changed.id, TWO, 'no, after all')).state, 'denied');
  });

  /** @proves law-4.escalation */
  test('what nobody answers is escalated once, on the record, and then others may', async () => {
    const rule = ruleOf({
      ...twoFromFinance,
      escalate: [{ afterSeconds: 120, to: ['group:legal'] }],
      expiresAfterSeconds: 3_600,
    });
    const approval = await waiting([rule]);
    assert.deepEqual(told.at(-1), [`asked ${approval.id}`, [...FIN]]);
    assert.equal(approvals.progress(approval).nextEscalationAt, approval.createdAt + 120_000);
    await assert.rejects(yes(approval, LEGAL), { code: 'approval.not-approver' });
    house.pass(120_000);
    // The record comes first.
    await assert.rejects(yes(approval, LEGAL), { code: 'approval.not-approver' });
    const other = await createApprovals({ ...house, tell });
    await Promise.all([approvals.expire(), other.expire(), approvals.expire()]);
    assert.equal((await operations(approval.id)).filter((each) => each === 'approval.escalate').length, 1);
    assert.deepEqual(
      told.filter(([what]) => what === `escalated ${approval.id}`).map(([, people]) => people),
      [[LEGAL]],
    );
    await approvals.refresh([{ topic: 'approval', key: approval.id } as never]);
    await yes(approval, LEGAL);
    assert.equal((await yes(approval, ONE)).state, 'approved');
  });

  test('it waits, and a yes lasts, as long as the rule says', async () => {
    const rule = ruleOf({ ...twoFromFinance, expiresAfterSeconds: 7_200, yesLastsSeconds: 60 });
    const approval = await waiting([rule]);
    assert.equal(approval.expiresAt - approval.createdAt, 7_200_000);
    await yes(approval, ONE);
    house.pass(30_000);
    const approved = await yes(approval, TWO);
    assert.equal(approved.expiresAt, house.clock.now() + 30_000);
    house.pass(30_000);
    assert.equal(approvals.find(asAsked(approval)), undefined);
    assert.equal((await consume(house, approval, approval.actionId)).ok, false);
  });

  /** @proves law-4.votes-intact */
  test('a yes that was made up, moved or lost in the database approves nothing', async () => {
    const approval = await waiting([twoFromFinance]);
    await yes(approval, ONE);
    const { db } = house.storage;
    const reload = async () => {
      await approvals.refresh([{ topic: 'approval', key: approval.id } as never]);
      return approvals.find(asAsked(approval))?.state;
    };
    const [vote] = await db.selectFrom('approval_votes').selectAll().where('approval', '=', approval.id).execute();
    assert.ok(vote);
    await db
      .insertInto('approval_votes')
      .values({ ...vote, number: 9, person: TWO })
      .execute();
    await db
      .updateTable('approvals')
      .set({ state: 'approved', decided_at: house.clock.now(), decided_by: ONE, assertion: vote.assertion })
      .where('id', '=', approval.id)
      .execute();
    assert.notEqual(await reload(), 'approved');
    await db.deleteFrom('approval_votes').where('approval', '=', approval.id).where('number', '=', 9).execute();
    assert.notEqual(await reload(), 'approved');
    await db.updateTable('approval_votes').set({ person: TWO }).where('approval', '=', approval.id).execute();
    assert.notEqual(await reload(), 'approved');
  });
});

onPostgres('rules on two replicas', (database) => {
  let houses: [House, House];
  let desks: [Approvals, Approvals];
  let passkeys: Map<string, SoftwarePasskey>;
  before(async () => {
    const url = await database();
    const one = await openDesk({ database: url });
    passkeys = await furnish(one.house);
    const two = await openDesk({ database: url });
    houses = [one.house, two.house];
    desks = [one.approvals, two.approvals];
  });
  after(async () => {
    for (const house of houses) await house.close();
  });

  /** @proves law-4.rule-once */
  test('of two last yeses on two replicas one approves, and a first and a second at once do approve', async () => {
    for (let round = 0; round < 6; round++) {
      const request = requestOf({ ...(await addAgent(houses[0], `agent-${round}`)), rules: [twoFromFinance] });
      const approval = await desks[0].open(request);
      const people: string[] = round % 2 === 0 ? [ONE, TWO] : [TWO, THREE];
      const before = FIN.find((each) => !people.includes(each)) as string;
      if (round >= 3) await approve(desks[0], approval, before, passkeys.get(before) as SoftwarePasskey);
      const signatures = await Promise.all(
        people.map((person, at) =>
          signed(desks[at] as Approvals, approval, person, passkeys.get(person) as SoftwarePasskey),
        ),
      );
      const tries = await Promise.allSettled(
        people.map((person, at) => (desks[at] as Approvals).approve(approval.id, person, signatures[at] as never)),
      );
      assert.equal((await desks[0].get(approval.id))?.state, 'approved');
      const approvedBy = (await houses[0].records('approval.approve')).filter((each) => each.approval === approval.id);
      assert.equal(approvedBy.length, 1);
      assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, round >= 3 ? 1 : 2);
    }
  });
});
