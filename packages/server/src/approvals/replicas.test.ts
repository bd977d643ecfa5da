import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createSoftwarePasskey, type SoftwarePasskey } from '../../../sdk/src/software-passkey.ts';
import { onPostgres } from '../identity/people/testing/databases.ts';
import type { House } from '../identity/people/testing/house.ts';
import { limits } from '../platform/index.ts';
import { APPROVER, addAgent, approve, consume, OWNER, openDesk, requestOf, signed } from './testing/desk.ts';
import type { Approvals } from './types.ts';

onPostgres('approvals on two replicas', (database) => {
  let houses: [House, House];
  let desks: [Approvals, Approvals];
  let approver: SoftwarePasskey;
  let owner: SoftwarePasskey;
  before(async () => {
    const url = await database();
    const one = await openDesk({ database: url });
    approver = (await one.house.enrol(APPROVER, { counter: 'none' })).passkey;
    owner = (await one.house.enrol(OWNER, { counter: 'none' })).passkey;
    const two = await openDesk({ database: url });
    houses = [one.house, two.house];
    desks = [one.approvals, two.approvals];
  });
  after(async () => {
    for (const house of houses) await house.close();
  });

  let number = 0;
  const newAgent = () => addAgent(houses[0], `agent-${++number}`);

  test('the same action asks once, on whichever replica it is called', async () => {
    const request = requestOf(await newAgent());
    const opened = await Promise.all(Array.from({ length: 8 }, (_, index) => desks[index % 2]?.open(request)));
    assert.equal(new Set(opened.map((approval) => approval?.id)).size, 1);
  });

  test('the limit of what may wait holds over all replicas', async () => {
    const worker = await newAgent();
    const limit = limits.pendingApprovalsPerAgent;
    const tries = await Promise.allSettled(
      Array.from({ length: limit + 6 }, (_, index) =>
        desks[index % 2]?.open(requestOf({ ...worker, arguments: { index } })),
      ),
    );
    assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, limit);
  });

  test('of two people who approve on two replicas one wins', async () => {
    const approval = await desks[0].open(requestOf(await newAgent()));
    const yes = [
      [desks[0], APPROVER, await signed(desks[0], approval, APPROVER, approver)],
      [desks[1], OWNER, await signed(desks[1], approval, OWNER, owner)],
    ] as const;
    const tries = await Promise.allSettled(
      yes.map(([desk, person, assertion]) => desk.approve(approval.id, person, assertion)),
    );
    assert.deepEqual(tries.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
    const approvedBy = (await houses[0].records('approval.approve')).filter((each) => each.approval === approval.id);
    assert.equal(approvedBy.length, 1);
  });

  /** @proves law-4.once */
  test('a yes is used by one of the dispatches that race for it on two replicas', async () => {
    const approval = await desks[0].open(requestOf(await newAgent()));
    await approve(desks[1], approval, APPROVER, approver);
    const tries = await Promise.all(
      Array.from({ length: 16 }, (_, index) => consume(houses[index % 2] as House, approval, `act_race_${index}`)),
    );
    assert.equal(tries.filter(({ ok }) => ok).length, 1);
    assert.equal((await desks[0].get(approval.id))?.state, 'consumed');
  });

  test('one answer of a passkey signs in on one replica only', async () => {
    const options = (await houses[0].people.signInOptions()) as { challenge: string };
    const assertion = { ...approver.assert(options, houses[0].publicUrl) };
    const tries = await Promise.allSettled(houses.map(({ people }) => people.signIn(assertion, {})));
    assert.deepEqual(tries.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  });

  test('of two removals on two replicas one is refused, so that nobody is locked out', async () => {
    const email = 'two-keys@example.test';
    await houses[0].declare(email, 'developer');
    const { person, passkey } = await houses[0].enrol(email);
    const { passkey: second, session } = await houses[0].addPasskey(person, createSoftwarePasskey());
    const tries = await Promise.allSettled([
      houses[0].people.removePasskey(session.person, passkey.id),
      houses[1].people.removePasskey(session.person, second.id),
    ]);
    assert.deepEqual(tries.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
    assert.equal((await houses[0].people.listPasskeys(email)).length, 1);
  });
});
