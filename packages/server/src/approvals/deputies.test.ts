import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type AskedRule, approvalRuleManifest, type Deputy, manifest } from '@gatehouse/protocol';
import { createSoftwarePasskey, type RequestOptions, type SoftwarePasskey } from '../../../sdk/src/software-passkey.ts';
import { onEachDatabase } from '../identity/people/testing/databases.ts';
import { type House, ORIGIN } from '../identity/people/testing/house.ts';
import { createApprovals } from './approvals.ts';
import { AUDITOR, addAgent, approve, openDesk, requestOf } from './testing/desk.ts';
import type { Approvals } from './types.ts';

const BOSS = 'boss@example.test';
const OTHER_BOSS = 'other-boss@example.test';
const AWAY = 'away@example.test';
const PUPPET = 'puppet@example.test';
const LATE = 'late@example.test';
const HONEST = 'honest@example.test';
const ASKER = 'asker@example.test';

const {
  kind: _,
  description: __,
  ...parsed
} = approvalRuleManifest.parse({
  kind: 'ApprovalRule',
  name: 'rule',
  steps: [{ from: ['group:finance'] }],
  accept: ['channel:chat'],
});
const rule: AskedRule = parsed;

onEachDatabase('deputies whom an admin proposes', (database) => {
  let house: House;
  let approvals: Approvals;
  const passkeys = new Map<string, SoftwarePasskey>();
  let number = 0;
  before(async () => {
    ({ house } = await openDesk({ database: await database() }));
    for (const email of [BOSS, OTHER_BOSS]) await house.declare(email, 'admin');
    for (const email of [AWAY, HONEST, PUPPET, ASKER]) await house.declare(email, 'auditor');
    for (const email of [BOSS, OTHER_BOSS, AWAY, HONEST, AUDITOR])
      passkeys.set(email, (await house.enrol(email, { counter: 'none' })).passkey);
    await enrolledBy(BOSS, PUPPET);
    await house.declare(AWAY, 'admin');
    await enrolledBy(AWAY, ASKER);
    await house.declare(AWAY, 'auditor');
    const hook = { url: 'https://hooks.example.test', secret: 's' };
    const chat = { kind: 'Channel', name: 'chat', webhook: hook, show: 'arguments', people: { U1: AWAY } };
    await house.registry.apply([manifest.parse(chat)], { prune: false, by: 'gatehouse' });
    const group = manifest.parse({ kind: 'Group', name: 'finance', members: [AWAY] });
    await house.registry.apply([group], { prune: false, by: 'gatehouse' });
    approvals = await createApprovals(house);
  });
  after(() => house.close());

  /** Whoever made the link has used it, too. */
  async function enrolledBy(admin: string, email: string): Promise<void> {
    const { token } = await house.people.createSigninLink(email, { by: `person:${admin}` });
    const passkey = createSoftwarePasskey({ counter: 'none' });
    await house.addPasskey((await house.openLink(token)).person, passkey);
    passkeys.set(email, passkey);
  }
  const waiting = async (more: Parameters<typeof requestOf>[1] = {}) =>
    approvals.open(requestOf({ ...(await addAgent(house, `agent-${++number}`)), rules: [rule] }, more));
  const yes = (approval: { id: string }, person: string) =>
    approve(approvals, approval as never, person, passkeys.get(person) as SoftwarePasskey);
  const reload = ({ id }: Deputy) => approvals.refresh([{ topic: 'deputy', key: id } as never]);
  async function propose(deputy: string, by = BOSS): Promise<Deputy> {
    const until = new Date(house.clock.now() + 3_600_000).toISOString();
    const made = await approvals.deputies.createFor(AWAY, { deputy, until, reason: 'ill' }, by);
    await reload(made);
    return made;
  }
  async function confirm(made: Deputy, by: string): Promise<Deputy> {
    const options = (await approvals.deputies.confirmOptions(made.id, by)) as unknown as RequestOptions;
    const assertion = (passkeys.get(by) as SoftwarePasskey).assert(options, ORIGIN);
    const confirmed = await approvals.deputies.confirm(made.id, by, { ...assertion });
    await reload(confirmed);
    return confirmed;
  }

  /** @proves law-4.deputy-confirmed */
  test('an admin alone puts nobody in another’s place: it counts once that person or a second admin has signed it', async () => {
    const made = await propose(HONEST);
    assert.equal(made.state, 'proposed');
    const approval = await waiting();
    await assert.rejects(yes(approval, HONEST), { code: 'approval.not-approver' });
    for (const stranger of [BOSS, HONEST, AUDITOR])
      await assert.rejects(approvals.deputies.confirmOptions(made.id, stranger), {
        code: 'deputy.not-yours-to-confirm',
      });
    // A signature over one proposal confirms no other.
    const other = await propose(HONEST);
    const options = (await approvals.deputies.confirmOptions(other.id, AWAY)) as unknown as RequestOptions;
    const foreign = (passkeys.get(AWAY) as SoftwarePasskey).assert(options, ORIGIN);
    await assert.rejects(approvals.deputies.confirm(made.id, AWAY, { ...foreign }), { code: 'passkey.not-verified' });
    await approvals.deputies.withdraw(other.id, `person:${AWAY}`);
    await assert.rejects(approvals.deputies.confirmOptions(other.id, AWAY), { code: 'deputy.not-proposed' });

    const confirmed = await confirm(made, AWAY);
    assert.deepEqual([confirmed.state, confirmed.confirmedBy], ['in-force', `person:${AWAY}`]);
    await assert.rejects(confirm(made, OTHER_BOSS), { code: 'deputy.not-proposed' });
    assert.equal((await yes(approval, HONEST)).state, 'approved');
    const [record] = await house.records('deputy.confirm');
    assert.ok(record?.changes.some((change) => change.startsWith('assertion sha256-')));
    await approvals.deputies.withdraw(made.id, `person:${AWAY}`);
    await reload(made);

    const second = await confirm(await propose(HONEST), OTHER_BOSS);
    assert.equal(second.state, 'in-force');
    await approvals.deputies.withdraw(second.id, `person:${AWAY}`);
    await reload(second);
  });

  /** @proves law-4.deputy-confirmed */
  test('nor does one whose passkey the proposing admin could hold: neither as who confirms nor as the deputy', async () => {
    const approval = await waiting();
    const young = await propose(PUPPET);
    await assert.rejects(confirm(young, OTHER_BOSS), { code: 'passkey.no-second-person' });
    await approvals.deputies.withdraw(young.id, `person:${AWAY}`);
    // Enrolled only after it was confirmed.
    await house.declare(LATE, 'auditor');
    const made = await confirm(await propose(LATE), OTHER_BOSS);
    await enrolledBy(BOSS, LATE);
    await assert.rejects(yes(approval, LATE), { code: 'passkey.no-second-person' });
    await approvals.deputies.withdraw(made.id, `person:${AWAY}`);
    await reload(made);

    await house.declare(PUPPET, 'admin');
    const again = await propose(HONEST);
    await assert.rejects(confirm(again, PUPPET), { code: 'passkey.no-second-person' });
    await house.declare(PUPPET, 'auditor');
    await assert.rejects(yes(approval, HONEST), { code: 'approval.not-approver' });
    await approvals.deputies.withdraw(again.id, `person:${AWAY}`);
    await reload(again);
  });

  /** @proves law-4.deputy-guarded */
  test('a call on a grant guards the person in whose place it was given, as one on an approval does', async () => {
    const made = await confirm(await propose(HONEST), AWAY);
    const approval = await yes(await waiting(), HONEST);
    assert.deepEqual(approvals.peopleOf(approval).sort(), [AWAY, HONEST]);
    assert.deepEqual(approvals.peopleOf({ givenBy: HONEST }).sort(), [AWAY, HONEST]);
    await approvals.deputies.withdraw(made.id, `person:${AWAY}`);
    await reload(made);
  });

  /** @proves channel.second-person */
  test('a yes in a channel is no second person’s either where its person could hold the passkey of who asked', async () => {
    const approval = await waiting({ requestedBy: ASKER });
    const answer = { approval: approval.id, digest: approval.digest, who: 'U1', message: 'm1', evidence: {} };
    await assert.rejects(
      approvals.approveThrough(approval.id, AWAY, 'chat', { ...answer, decision: 'approve', reason: '' } as never),
      { code: 'passkey.no-second-person' },
    );
    await assert.rejects(yes(approval, AWAY), { code: 'passkey.no-second-person' });
  });
});
