import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Approval } from '@gatehouse/protocol';
import {
  createSoftwarePasskey,
  type RequestOptions,
  restoreSoftwarePasskey,
  type SoftwarePasskey,
} from '../../../sdk/src/software-passkey.ts';
import type { PasskeyVerification } from '../identity/index.ts';
import { onEachDatabase } from '../identity/people/testing/databases.ts';
import { type House, ORIGIN } from '../identity/people/testing/house.ts';
import { digestJson, limits } from '../platform/index.ts';
import { evidenceProblem } from './evidence.ts';
import {
  APPROVER,
  AUDITOR,
  addAgent,
  approvalsOf,
  approve,
  asAsked,
  consume,
  OWNER,
  openDesk,
  requestOf,
  resumeAgent,
  signed,
  stopAgent,
} from './testing/desk.ts';
import type { Approvals } from './types.ts';

const TTL_MS = limits.approvalTtlSeconds * 1_000;

onEachDatabase('approvals', (database) => {
  let house: House;
  let approvals: Approvals;
  let approver: SoftwarePasskey;
  let owner: SoftwarePasskey;
  let auditor: SoftwarePasskey;
  before(async () => {
    ({ house, approvals } = await openDesk({ database: await database() }));
    // Without counters, as synced passkeys are: nothing may lean on them.
    approver = (await house.enrol(APPROVER, { counter: 'none' })).passkey;
    owner = (await house.enrol(OWNER, { counter: 'none' })).passkey;
    auditor = (await house.enrol(AUDITOR, { counter: 'none' })).passkey;
  });
  after(() => house.close());

  let number = 0;
  /** An agent of its own for each test, with one action that waits. */
  async function waiting(...change: Parameters<typeof requestOf>) {
    const worker = await addAgent(house, `agent-${++number}`);
    const request = requestOf({ ...worker, ...change[0] }, change[1]);
    return { ...worker, worker, request, approval: await approvals.open(request) };
  }
  const refusals = async (approval: Approval) =>
    (await house.records())
      .filter((record) => record.approval === approval.id && record.operation.endsWith('.refuse'))
      .map((record) => [record.actor_chain[0]?.sub, record.detail?.split(':')[0]]);
  const stateOf = async (approval: Approval) => (await approvals.get(approval.id))?.state;

  test('an approver says yes to exactly what was asked, and the yes is found', async () => {
    const { approval, request } = await waiting();
    assert.equal(approvals.find(asAsked(approval))?.state, 'pending');
    const approved = await approve(approvals, approval, APPROVER, approver);
    assert.deepEqual([approved.state, approved.decidedBy], ['approved', APPROVER]);
    assert.deepEqual(approved.arguments, request.subject.arguments);
    assert.equal(approvals.find(request.subject)?.state, 'approved');
    const other = { ...request.subject, arguments: { order: 1042, amount: '400.00', currency: 'EUR' } };
    assert.equal(approvals.find(other), undefined);
    assert.equal((await approvals.open(requestOf(other))).state, 'pending');
  });

  test("the agent's owner may say yes without being an approver", async () => {
    const { approval } = await waiting();
    assert.equal((await approve(approvals, approval, OWNER, owner)).decidedBy, OWNER);
  });

  test('the record of a yes names the assertion, which verifies with nothing but what is stored', async () => {
    const { approval } = await waiting();
    await approve(approvals, approval, APPROVER, approver);
    const { assertion } = await house.storage.db
      .selectFrom('approvals')
      .select('assertion')
      .where('id', '=', approval.id)
      .executeTakeFirstOrThrow();
    const record = (await house.records('approval.approve')).find((each) => each.approval === approval.id);
    assert.equal(record?.action_id, approval.actionId);
    assert.ok(record?.changes.includes(`assertion ${digestJson(JSON.parse(assertion ?? ''))}`));
    assert.ok(record?.changes.includes(`digest ${approval.digest}`));

    const of = { id: approval.id, digest: approval.digest, decidedBy: APPROVER, origin: ORIGIN };
    assert.equal(evidenceProblem(assertion, of), null);
    for (const change of [
      { id: 'apr_other' },
      { digest: `sha256-${'1'.repeat(64)}` },
      { decidedBy: OWNER },
      { origin: 'http://localhost:1' },
    ]) {
      assert.notEqual(evidenceProblem(assertion, { ...of, ...change }), null);
    }
    const kept = JSON.parse(assertion ?? '');
    for (const [part, value] of Object.entries(kept.response as Record<string, string>)) {
      if (part === 'id') continue;
      const bytes = Buffer.from(value, 'base64url');
      bytes[bytes.length - 5] = (bytes[bytes.length - 5] ?? 0) ^ 1;
      const response = { ...kept.response, [part]: bytes.toString('base64url') };
      assert.notEqual(evidenceProblem(JSON.stringify({ ...kept, response }), of), null, part);
    }
    const unverified = restoreSoftwarePasskey(
      JSON.stringify({ ...JSON.parse(approver.serialise()), userVerified: false }),
    );
    const { challenge } = JSON.parse(Buffer.from(kept.response.clientDataJSON, 'base64url').toString());
    const { response } = unverified.assert({ challenge, rpId: 'localhost' }, ORIGIN);
    const { userHandle: _, ...signedParts } = response;
    const weak = JSON.stringify({ ...kept, response: { id: kept.response.id, ...signedParts } });
    assert.equal(evidenceProblem(weak, of), 'its signer was not verified');
  });

  /** @proves law-4.passkey */
  test('a signature over another approval or another challenge is refused and recorded', async () => {
    const { approval } = await waiting();
    const { approval: other } = await waiting();
    const foreign = await signed(approvals, other, APPROVER, approver);
    await assert.rejects(approvals.approve(approval.id, APPROVER, foreign), { code: 'passkey.not-verified' });
    const options = (await approvals.approvalOptions(approval.id, APPROVER)) as unknown as RequestOptions;
    const digest = Buffer.from(approval.digest.slice('sha256-'.length), 'hex').toString('base64url');
    for (const challenge of [digest, 'A'.repeat(43)]) {
      const assertion = { ...approver.assert({ ...options, challenge }, ORIGIN) };
      await assert.rejects(approvals.approve(approval.id, APPROVER, assertion), { code: 'passkey.not-verified' });
    }
    assert.equal(await stateOf(approval), 'pending');
    assert.deepEqual(await refusals(approval), Array(3).fill([`person:${APPROVER}`, 'passkey.not-verified']));
  });

  test("another person's passkey, a stranger's and one without user verification are refused and recorded", async () => {
    const { approval } = await waiting();
    const options = (await approvals.approvalOptions(approval.id, APPROVER)) as unknown as RequestOptions;
    const { challenge, rpId } = options;
    const unverified = { ...JSON.parse(approver.serialise()), userVerified: false };
    for (const passkey of [owner, createSoftwarePasskey(), restoreSoftwarePasskey(JSON.stringify(unverified))]) {
      const assertion = { ...passkey.assert({ challenge, rpId }, ORIGIN) };
      await assert.rejects(approvals.approve(approval.id, APPROVER, assertion), { code: 'passkey.not-verified' });
    }
    await assert.rejects(approvals.approve(approval.id, APPROVER, null), { code: 'passkey.malformed' });
    assert.equal((await refusals(approval)).length, 4);
    assert.equal(await stateOf(approval), 'pending');
  });

  test('yesterday’s signature does not approve the same action again, though the passkey keeps no counter', async () => {
    const { approval, request } = await waiting();
    const assertion = await signed(approvals, approval, APPROVER, approver);
    await approvals.approve(approval.id, APPROVER, assertion);
    await assert.rejects(approvals.approve(approval.id, APPROVER, assertion), { code: 'approval.decided' });
    await consume(house, approval, approval.actionId);
    approvals.noteConsumed(approval.id);

    const again = await approvals.open({ ...request, actionId: 'act_again' });
    assert.notEqual(again.digest, approval.digest);
    assert.notEqual(again.id, approval.id);
    await assert.rejects(approvals.approve(again.id, APPROVER, assertion), { code: 'passkey.not-verified' });
    assert.equal(await stateOf(again), 'pending');
    assert.deepEqual(await refusals(again), [[`person:${APPROVER}`, 'passkey.not-verified']]);
  });

  test('a counting passkey whose counter stands still approves nothing', async () => {
    await house.declare('counting@example.test', 'approver');
    const { passkey } = await house.enrol('counting@example.test');
    const copy = passkey.serialise();
    const [first, second] = [await waiting(), await waiting()];
    await approve(approvals, first.approval, 'counting@example.test', passkey);
    await assert.rejects(approve(approvals, second.approval, 'counting@example.test', restoreSoftwarePasskey(copy)), {
      code: 'passkey.replayed',
    });
    assert.equal(await stateOf(second.approval), 'pending');
    assert.equal((await refusals(second.approval)).length, 1);
  });

  /** @proves law-4.person */
  test('whoever asked, or for whom it is done, does not approve it, however they are written', async () => {
    for (const declared of [
      APPROVER,
      APPROVER.toUpperCase(),
      `person:${APPROVER}`,
      `mailto:${APPROVER}`,
      `The Approver <${APPROVER}>`,
      `ｐerson:${APPROVER}`,
      `somebody@example.test, ${APPROVER}`,
    ]) {
      for (const field of ['requestedBy', 'onBehalfOf'] as const) {
        const { approval } = await waiting({}, { [field]: declared });
        await assert.rejects(
          approvals.approvalOptions(approval.id, APPROVER),
          { code: 'approval.requester' },
          declared,
        );
        await assert.rejects(approvals.approve(approval.id, APPROVER, {}), { code: 'approval.requester' });
        assert.deepEqual(await refusals(approval), [[`person:${APPROVER}`, 'approval.requester']]);
        assert.equal((await approve(approvals, approval, OWNER, owner)).state, 'approved');
      }
    }
    // Nor does who was proven to want it, named or not.
    const { approval: delegated } = await waiting({ delegated: { user: APPROVER, chain: [], narrowing: [] } });
    await assert.rejects(approvals.approvalOptions(delegated.id, APPROVER), { code: 'approval.requester' });
    assert.equal((await approve(approvals, delegated, OWNER, owner)).state, 'approved');
    const { approval } = await waiting({}, { requestedBy: OWNER, onBehalfOf: `x${APPROVER}` });
    await assert.rejects(approvals.approvalOptions(approval.id, OWNER), { code: 'approval.requester' });
    assert.equal((await approve(approvals, approval, APPROVER, approver)).state, 'approved');
  });

  /** @proves law-4.person */
  test('an auditor, a stranger and a machine can neither approve nor deny; the host can only deny', async () => {
    const { approval, agent } = await waiting();
    const challenge = { challenge: 'A'.repeat(43), rpId: 'localhost' };
    const assertion = { ...auditor.assert(challenge, ORIGIN) };
    for (const person of [AUDITOR, 'stranger@example.test', agent, `spiffe://t/env/prod/agent/${agent}`]) {
      await assert.rejects(approvals.approvalOptions(approval.id, person), { code: 'approval.not-approver' });
      await assert.rejects(approvals.approve(approval.id, person, assertion), { code: 'approval.not-approver' });
      await assert.rejects(approvals.deny(approval.id, person, ''), { code: 'approval.not-approver' });
    }
    await assert.rejects(approvals.approve(approval.id, 'operator', assertion), { code: 'approval.not-approver' });
    assert.equal((await refusals(approval)).length, 9);
    assert.equal(await stateOf(approval), 'pending');
    assert.equal((await approvals.deny(approval.id, 'operator', 'not now')).state, 'denied');
  });

  test('a role that was taken away counts from then on', async () => {
    const { approval } = await waiting();
    await house.declare('leaver@example.test', 'approver');
    const { passkey } = await house.enrol('leaver@example.test');
    const assertion = await signed(approvals, approval, 'leaver@example.test', passkey);
    await house.declare('leaver@example.test', 'auditor');
    await assert.rejects(approvals.approve(approval.id, 'leaver@example.test', assertion), {
      code: 'approval.not-approver',
    });
    await house.undeclare('leaver@example.test');
    await assert.rejects(approvals.approve(approval.id, 'leaver@example.test', assertion), {
      code: 'approval.not-approver',
    });
  });

  test('after it has run out an approval is not given, not found, and ends as expired on the record', async () => {
    const { approval } = await waiting();
    const assertion = await signed(approvals, approval, APPROVER, approver);
    house.pass(TTL_MS);
    assert.equal(approvals.find(asAsked(approval)), undefined);
    assert.equal(await stateOf(approval), 'expired');
    await assert.rejects(approvals.approve(approval.id, APPROVER, assertion), { code: 'approval.expired' });
    assert.deepEqual(await refusals(approval), [[`person:${APPROVER}`, 'approval.expired']]);
    assert.ok((await approvals.expire()) >= 1);
    assert.equal(await approvals.expire(), 0);
    const ended = (await house.records('approval.expire')).filter((record) => record.approval === approval.id);
    assert.equal(ended.length, 1);
    await assert.rejects(approvals.deny(approval.id, APPROVER, ''), { code: 'approval.expired' });
  });

  test('a yes that was not used in time is not found, cannot be consumed, and expires', async () => {
    const { approval } = await waiting();
    await approve(approvals, approval, APPROVER, approver);
    house.pass(TTL_MS);
    assert.equal(approvals.find(asAsked(approval)), undefined);
    assert.deepEqual(await consume(house, approval, approval.actionId), { ok: false, failed: 'approval' });
    await approvals.expire();
    assert.equal(await stateOf(approval), 'expired');
  });

  test('nobody approves what an agent asked before it was stopped, even when it works again', async () => {
    const { approval, agent, request } = await waiting();
    const assertion = await signed(approvals, approval, APPROVER, approver);
    await stopAgent(house, agent);
    await assert.rejects(approvals.approve(approval.id, APPROVER, assertion), { code: 'approval.agent-changed' });
    await assert.rejects(approvals.open(request), { code: 'approval.agent-changed' });
    await resumeAgent(house, agent);
    await assert.rejects(approvals.approve(approval.id, APPROVER, assertion), { code: 'approval.agent-changed' });
    await assert.rejects(approvals.open(request), { code: 'approval.agent-changed' });
    assert.deepEqual(await refusals(approval), Array(2).fill([`person:${APPROVER}`, 'approval.agent-changed']));
  });

  test('an agent that is not active gets no yes, whatever its epoch', async () => {
    const { approval, agent } = await waiting();
    const assertion = await signed(approvals, approval, APPROVER, approver);
    for (const state of ['draft', 'suspended', 'retired']) {
      await house.storage.db.updateTable('agents').set({ state }).where('name', '=', agent).execute();
      await assert.rejects(approvals.approve(approval.id, APPROVER, assertion), { code: 'approval.agent-changed' });
    }
  });

  test('a kill, or the loss of a role, while the signature is being checked still counts', async () => {
    await house.declare('late@example.test', 'approver');
    const { passkey } = await house.enrol('late@example.test', { counter: 'none' });
    const lose = () => house.declare('late@example.test', 'auditor');
    const [{ approval: killed, agent }, { approval: unroled }] = [await waiting(), await waiting()];
    for (const [approval, meanwhile, code] of [
      [killed, () => stopAgent(house, agent), 'approval.agent-changed'],
      [unroled, lose, 'approval.not-approver'],
    ] as const) {
      const verifyAssertion: PasskeyVerification['verifyAssertion'] = async (...given) => {
        const verified = await house.people.verifyAssertion(...given);
        await meanwhile();
        return verified;
      };
      const racing = await approvalsOf({ ...house, people: { ...house.people, verifyAssertion } });
      await assert.rejects(approve(racing, approval, 'late@example.test', passkey), { code });
      assert.equal(await stateOf(approval), 'pending');
    }
  });

  test('kill cancels what is pending and what was approved and not used, in its own transaction', async () => {
    const { approval: approved, agent, worker } = await waiting();
    const pending = await approvals.open(requestOf({ ...worker, tool: 'shop/delete' }));
    const { approval: other } = await waiting();
    await approve(approvals, approved, APPROVER, approver);
    const waits = approvals.settled(pending.id, AbortSignal.timeout(60_000));

    const undone = house.storage.transaction(async (transaction) => {
      await approvals.cancelAll(transaction, { agent }, 'person:security@example.test');
      throw new Error('undone');
    });
    await assert.rejects(undone, /undone/);
    assert.equal(await stateOf(approved), 'approved');

    const count = await house.storage.transaction((transaction) =>
      approvals.cancelAll(transaction, { agent }, 'person:security@example.test'),
    );
    assert.equal(count, 2);
    assert.deepEqual(
      [await stateOf(approved), await stateOf(pending), await stateOf(other)],
      ['cancelled', 'cancelled', 'pending'],
    );
    assert.deepEqual(await consume(house, approved, approved.actionId), { ok: false, failed: 'approval' });
    const cancelled = (await house.records('approval.cancel')).filter((record) => record.agent === agent);
    assert.equal(cancelled.length, 2);
    await approvals.refresh(await feedOf(house));
    assert.equal((await waits).state, 'cancelled');
    assert.equal(approvals.find(asAsked(approved)), undefined);
    const nothing = house.storage.transaction((transaction) => approvals.cancelAll(transaction, {}, 'gatehouse'));
    await assert.rejects(nothing, { code: 'approval.cancel-what' });
  });

  test('what an ended task or a suspended agent asked for leaves the inbox, on the record', async () => {
    const [ended, stopped, other] = [await waiting(), await waiting(), await waiting()];
    const assertion = await signed(approvals, ended.approval, APPROVER, approver);
    await house.registry.endTask(ended.task, 'person:owner@example.test');
    await assert.rejects(approvals.approve(ended.approval.id, APPROVER, assertion), { code: 'approval.task-ended' });
    await house.registry.setAgentState(stopped.agent, 'suspended', 'person:owner@example.test');
    await approvals.expire();
    assert.deepEqual(
      [await stateOf(ended.approval), await stateOf(stopped.approval), await stateOf(other.approval)],
      ['cancelled', 'cancelled', 'pending'],
    );
    const cancelled = (await house.records('approval.cancel')).map((record) => record.approval);
    assert.ok(cancelled.includes(ended.approval.id) && cancelled.includes(stopped.approval.id));
    assert.equal(approvals.find(asAsked(ended.approval)), undefined);
  });

  test('of two people who approve at the same time one wins, and the other is told', async () => {
    const { approval } = await waiting();
    const [first, second] = [
      await signed(approvals, approval, APPROVER, approver),
      await signed(approvals, approval, OWNER, owner),
    ];
    const tries = await Promise.allSettled([
      approvals.approve(approval.id, APPROVER, first),
      approvals.approve(approval.id, OWNER, second),
    ]);
    const lost = tries.filter((each) => each.status === 'rejected');
    assert.deepEqual(
      lost.map(({ reason }) => reason.code),
      ['approval.decided'],
    );
    assert.equal((await house.records('approval.approve')).filter((each) => each.approval === approval.id).length, 1);
    assert.equal((await refusals(approval)).length, 1);
  });

  test('a yes and a no at the same time leave one of them standing', async () => {
    for (let round = 0; round < 5; round++) {
      const { approval } = await waiting();
      const assertion = await signed(approvals, approval, APPROVER, approver);
      await Promise.allSettled([
        approvals.approve(approval.id, APPROVER, assertion),
        approvals.deny(approval.id, OWNER, 'no'),
      ]);
      // A no after a yes withdraws it; a yes after a no is refused.
      assert.equal(await stateOf(approval), 'denied');
    }
  });

  test('a yes is used by one of many dispatches that race for it', async () => {
    const { approval } = await waiting();
    await approve(approvals, approval, APPROVER, approver);
    const tries = await Promise.all(Array.from({ length: 16 }, (_, index) => consume(house, approval, `act_${index}`)));
    assert.equal(tries.filter(({ ok }) => ok).length, 1);
    assert.equal(await stateOf(approval), 'consumed');
    await assert.rejects(approvals.deny(approval.id, APPROVER, ''), { code: 'approval.decided' });
  });

  test('no passkey is needed to say no, and the reason is kept', async () => {
    const { approval } = await waiting();
    const denied = await approvals.deny(approval.id, APPROVER, 'wrong customer');
    assert.deepEqual([denied.state, denied.decidedBy, denied.reason], ['denied', APPROVER, 'wrong customer']);
    const record = (await house.records('approval.deny')).find((each) => each.approval === approval.id);
    assert.deepEqual([record?.actor_chain[0]?.sub, record?.detail], [`person:${APPROVER}`, 'wrong customer']);
    assert.equal(approvals.find(asAsked(approval)), undefined);
    await assert.rejects(approvals.approvalOptions(approval.id, APPROVER), { code: 'approval.decided' });
  });

  test('a yes can be taken back until it is used', async () => {
    const { approval } = await waiting();
    await approve(approvals, approval, APPROVER, approver);
    assert.equal((await approvals.deny(approval.id, OWNER, 'changed my mind')).state, 'denied');
    assert.deepEqual(await consume(house, approval, approval.actionId), { ok: false, failed: 'approval' });
  });

  test('the same action asks once while it waits, from however many calls', async () => {
    const { agent, request, approval } = await waiting();
    const again = await Promise.all(
      Array.from({ length: 10 }, () => approvals.open({ ...request, actionId: 'act_x' })),
    );
    assert.deepEqual(new Set(again.map(({ id }) => id)), new Set([approval.id]));
    assert.equal((await approvals.list({ agent, limit: 50 })).length, 1);
  });

  test('an agent cannot wear approvers down: beyond the limit it is told to wait', async () => {
    const { agent, worker } = await waiting();
    const ask = (index: number) => approvals.open(requestOf({ ...worker, arguments: { index } }));
    const limit = limits.pendingApprovalsPerAgent;
    const tries = await Promise.allSettled(Array.from({ length: limit + 5 }, (_, index) => ask(index)));
    assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, limit - 1);
    await assert.rejects(ask(999), { code: 'approval.too-many' });
    const [one] = await approvals.list({ agent, state: 'pending', limit: 1 });
    await approvals.deny(one?.id ?? '', APPROVER, '');
    assert.equal((await ask(999)).state, 'pending');
  });

  test('what nobody could read through is refused before anybody is asked', async () => {
    const { worker } = await waiting();
    const huge = requestOf({ ...worker, arguments: { text: 'x'.repeat(300_000) } });
    await assert.rejects(approvals.open(huge), { code: 'approval.too-large' });
    await assert.rejects(
      approvals.open(requestOf({ ...worker }, { decision: { ...huge.decision, policyVersion: 'p2' } })),
      {
        code: 'approval.policy-version',
      },
    );
  });

  test('who waits is woken by the decision, and who gives up learns how it stands', async () => {
    const { approval } = await waiting();
    const waits = Array.from({ length: 3 }, () => approvals.settled(approval.id, AbortSignal.timeout(60_000)));
    const gaveUp = new AbortController();
    const impatient = approvals.settled(approval.id, gaveUp.signal);
    gaveUp.abort();
    assert.equal((await impatient).state, 'pending');
    await approve(approvals, approval, APPROVER, approver);
    for (const wait of waits) assert.equal((await wait).state, 'approved');
    assert.equal((await approvals.settled(approval.id, AbortSignal.abort())).state, 'approved');
    await assert.rejects(approvals.settled('apr_none', AbortSignal.abort()), { code: 'approval.not-found' });
  });

  test('lists are by state, agent and task, newest first, page by page', async () => {
    const { agent, worker, approval } = await waiting();
    const more = [];
    for (const index of [1, 2, 3]) more.push(await approvals.open(requestOf({ ...worker, arguments: { index } })));
    await approvals.deny(approval.id, APPROVER, '');
    const ids = (page: Approval[]) => page.map(({ id }) => id);
    const newest = ids(more).reverse();
    assert.deepEqual(ids(await approvals.list({ agent, state: 'pending', limit: 50 })), newest);
    assert.deepEqual(ids(await approvals.list({ agent, limit: 2 })), newest.slice(0, 2));
    assert.deepEqual(ids(await approvals.list({ agent, before: newest[1], limit: 50 })), [newest[2], approval.id]);
    assert.deepEqual(ids(await approvals.list({ agent, state: 'denied', limit: 50 })), [approval.id]);
    assert.deepEqual(await approvals.list({ agent, task: 'tsk_other', limit: 50 }), []);
    house.pass(TTL_MS);
    assert.deepEqual(await approvals.list({ agent, state: 'pending', limit: 50 }), []);
    assert.deepEqual(ids(await approvals.list({ agent, state: 'expired', limit: 50 })), newest);
  });

  test('a decision on one replica is found on another by the feed', async () => {
    const { approval, request } = await waiting();
    const elsewhere = await approvalsOf(house);
    const waits = elsewhere.settled(approval.id, AbortSignal.timeout(60_000));
    await approve(approvals, approval, APPROVER, approver);
    assert.equal(elsewhere.find(asAsked(approval))?.state, 'pending');
    await elsewhere.refresh(await feedOf(house));
    assert.equal(elsewhere.find(asAsked(approval))?.state, 'approved');
    assert.equal((await waits).state, 'approved');
    // Consumption is told by nobody; the other replica finds out by the write, and lets go.
    await consume(house, approval, approval.actionId);
    assert.deepEqual(await consume(house, approval, 'act_other'), { ok: false, failed: 'approval' });
    const next = await elsewhere.open({ ...request, actionId: 'act_next' });
    assert.notEqual(next.id, approval.id);
    assert.equal(elsewhere.find(asAsked(approval))?.id, next.id);
    elsewhere.noteConsumed(approval.id);
    elsewhere.noteConsumed(next.id);
    assert.equal(elsewhere.find(asAsked(approval)), undefined);
  });

  test('a row that was changed by hand is not used, shown as asked for, or approved', async () => {
    const set = (approval: Approval, change: object) =>
      house.storage.db.updateTable('approvals').set(change).where('id', '=', approval.id).execute();

    const { approval: forged, request: asked } = await waiting();
    await set(forged, { state: 'approved', decided_by: APPROVER, decided_at: house.clock.now() });
    const restarted = await approvalsOf(house);
    assert.equal(restarted.find(asAsked(forged)), undefined);
    await assert.rejects(restarted.open(asked), { code: 'approval.inconsistent' });

    const [{ approval: good }, { approval: moved }] = [await waiting(), await waiting()];
    await approve(approvals, good, APPROVER, approver);
    const { assertion } = await house.storage.db
      .selectFrom('approvals')
      .select('assertion')
      .where('id', '=', good.id)
      .executeTakeFirstOrThrow();
    await set(moved, { state: 'approved', decided_by: APPROVER, decided_at: house.clock.now(), assertion });
    const fresh = await approvalsOf(house);
    assert.equal(fresh.find(asAsked(moved)), undefined);
    assert.equal(fresh.find(asAsked(good))?.state, 'approved');

    const { approval: altered } = await waiting();
    const row = await house.storage.db
      .selectFrom('approvals')
      .select('body')
      .where('id', '=', altered.id)
      .executeTakeFirstOrThrow();
    await set(altered, { body: row.body.replace('40.00', '4.00') });
    await assert.rejects(approvals.approvalOptions(altered.id, APPROVER), { code: 'approval.inconsistent' });
    await assert.rejects(approvals.approve(altered.id, APPROVER, {}), { code: 'approval.inconsistent' });
  });
});

/** @proves law-4.restart */
test('a restart keeps what waits and what was approved', async () => {
  const { house, approvals } = await openDesk({ replica: 'one' });
  const { passkey } = await house.enrol(APPROVER);
  const worker = await addAgent(house);
  const pending = await approvals.open(requestOf(worker));
  const approved = await approvals.open(requestOf({ ...worker, tool: 'shop/delete' }));
  await approve(approvals, approved, APPROVER, passkey);
  await house.close({ keep: true });

  const again = await openDesk({ dataDir: house.dataDir, replica: 'one' });
  try {
    assert.equal(again.approvals.find(asAsked(pending))?.state, 'pending');
    assert.equal(again.approvals.find(asAsked(approved))?.state, 'approved');
    await approve(again.approvals, pending, APPROVER, passkey);
    assert.deepEqual((await consume(again.house, pending, pending.actionId)).ok, true);
    assert.deepEqual((await consume(again.house, approved, approved.actionId)).ok, true);
  } finally {
    await again.house.close();
  }
});

/** @proves law-1.changes */
test('when a change cannot be recorded it is not made', async () => {
  const { house, approvals } = await openDesk();
  try {
    const { passkey } = await house.enrol(APPROVER);
    const worker = await addAgent(house);
    const approval = await approvals.open(requestOf(worker));
    const mute = await approvalsOf({ ...house, recordChange: () => Promise.reject(new Error('the log is full')) });
    await assert.rejects(approve(mute, approval, APPROVER, passkey), /the log is full|refused/);
    await assert.rejects(mute.deny(approval.id, APPROVER, ''), /the log is full|refused/);
    await assert.rejects(mute.open(requestOf({ ...worker, tool: 'shop/delete' })), /the log is full|refused/);
    assert.deepEqual(
      (await approvals.list({ limit: 10 })).map(({ id, state }) => [id, state]),
      [[approval.id, 'pending']],
    );
  } finally {
    await house.close();
  }
});

async function feedOf(house: House) {
  const changes = await house.storage.db.selectFrom('changes').selectAll().orderBy('sequence').execute();
  return changes as Parameters<Approvals['refresh']>[0];
}

test('what is cancelled while it is still being asked is not waited for, and the same is asked anew', async (t) => {
  const { house } = await openDesk();
  t.after(() => house.close());
  const agent = await addAgent(house);
  let between: (() => Promise<unknown>) | undefined;
  // Runs between the row that `open` has written and what it then reads of it.
  const db = house.storage.db.withPlugin({
    transformQuery: ({ node }) => node,
    async transformResult({ result }) {
      const now = between;
      between = undefined;
      await now?.();
      return result;
    },
  });
  const approvals = await approvalsOf({ ...house, storage: { ...house.storage, db } });
  const request = requestOf(agent);
  const other = await approvalsOf(house);
  between = async () => {
    const [{ id } = { id: '' }] = await other.list({ limit: 10 });
    await other.withdraw(id, 'gatehouse');
    await approvals.refresh([{ sequence: await house.storage.feed.head(), topic: 'approval', key: id, at: 0 }]);
  };
  await approvals.open(request);
  assert.equal(between, undefined);
  assert.equal(approvals.find(request.subject), undefined);
});
