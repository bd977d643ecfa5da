import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { after, before, test } from 'node:test';
import { type Approval, type AskedRule, approvalRuleManifest, manifest } from '@gatehouse/protocol';
import type { RequestOptions, SoftwarePasskey } from '../../../sdk/src/software-passkey.ts';
import { noteKeysOfBefore } from '../identity/people/enrolled-keys.ts';
import { createPeople } from '../identity/people/people.ts';
import { onEachDatabase } from '../identity/people/testing/databases.ts';
import { type House, ORIGIN } from '../identity/people/testing/house.ts';
import { canonicalJson, digestJson, type Json } from '../platform/index.ts';
import { holderOfTask } from '../policy/flow/held.ts';
import { createLabels } from '../policy/flow/labels.ts';
import { createFlow, sensitiveKinds } from '../policy/index.ts';
import { createApprovals } from './approvals.ts';
import { sealYes } from './channel-yes.ts';
import { evidenceProblem } from './evidence.ts';
import { toApproval, type VoteRow } from './rows.ts';
import { approvalChallenge } from './subject.ts';
import { APPROVER, addAgent, approvalsOf, approve, asAsked, openDesk, requestOf } from './testing/desk.ts';
import type { Approvals } from './types.ts';
import { sealApproval } from './votes.ts';

const ONE = 'fin-1@example.test';
const TWO = 'fin-2@example.test';
const EVE = 'eve@example.test';

const {
  kind: _,
  description: __,
  ...twoFromFinance
} = approvalRuleManifest.parse({
  kind: 'ApprovalRule',
  name: 'rule',
  steps: [{ approve: 2, from: ['group:finance'] }],
  deny: 2,
  escalate: [{ afterSeconds: 600, to: [`person:${EVE}`] }],
});

/** What a passkey that nobody has enrolled here would sign, in the name of somebody. */
function forgedYes({ id, digest }: { id: string; digest: string }, person: string): string {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const rpId = new URL(ORIGIN).hostname;
  const challenge = Buffer.from(approvalChallenge(id, digest, {})).toString('base64url');
  const client = Buffer.from(JSON.stringify({ type: 'webauthn.get', challenge, origin: ORIGIN }));
  const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest();
  const authenticator = Buffer.concat([sha256(rpId), Buffer.of(5), Buffer.alloc(4)]);
  const signature = sign('sha256', Buffer.concat([authenticator, sha256(client)]), privateKey);
  return canonicalJson({
    v: 1,
    approval: id,
    digest,
    person,
    passkey: 'forged',
    publicKey: { ...publicKey.export({ format: 'jwk' }), alg: 'ES256' } as Json,
    rpId,
    origin: ORIGIN,
    response: {
      id: 'forged',
      clientDataJSON: client.toString('base64url'),
      authenticatorData: authenticator.toString('base64url'),
      signature: signature.toString('base64url'),
    },
  });
}

/** @proves law-4.rows-sealed */
onEachDatabase('what is written into the database', (database) => {
  let house: House;
  let approvals: Approvals;
  const passkeys = new Map<string, SoftwarePasskey>();
  before(async () => {
    ({ house, approvals } = await openDesk({ database: await database() }));
    for (const email of [ONE, TWO, EVE]) await house.declare(email, 'auditor');
    for (const email of [APPROVER, ONE, TWO])
      passkeys.set(email, (await house.enrol(email, { counter: 'none' })).passkey);
    const group = { kind: 'Group', name: 'finance', members: [ONE, TWO] };
    await house.registry.apply([manifest.parse(group)], { prune: false, by: 'gatehouse' });
  });
  after(() => house.close());

  let number = 0;
  async function waiting(rules: AskedRule[] = []) {
    const worker = await addAgent(house, `agent-${++number}`);
    const request = requestOf({ ...worker, ...(rules.length > 0 && { rules }) });
    return { request, approval: await approvals.open(request) };
  }
  const rowOf = (id: string) =>
    house.storage.db.selectFrom('approvals').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
  const set = (id: string, change: object) =>
    house.storage.db.updateTable('approvals').set(change).where('id', '=', id).execute();
  const found = async (approval: Approval) => (await approvalsOf(house)).find(asAsked(approval))?.state;

  test('a yes that brings a key of its own is none', async () => {
    const { approval } = await waiting();
    const assertion = forgedYes(approval, APPROVER);
    const of = { id: approval.id, digest: approval.digest, decidedBy: APPROVER, origin: ORIGIN };
    assert.equal(evidenceProblem(assertion, of), null, 'by itself it is flawless');
    const at = house.clock.now();
    const vote = { approval: approval.id, number: 1, person: APPROVER, answer: 'yes', at, assertion, reason: null };
    await house.storage.db.insertInto('approval_votes').values(vote).execute();
    const approved = { state: 'approved', decided_at: at, decided_by: APPROVER, assertion, answers: 1 };
    await set(approval.id, approved);
    assert.equal(await found(approval), undefined);
    assert.match((await approvals.inspect([approval.id]))[0]?.problem ?? '', /never enrolled/);
    // Nor with the seal of another that was approved, nor as one from before there were seals.
    const { approval: good } = await waiting();
    await approve(approvals, good, APPROVER, passkeys.get(APPROVER) as SoftwarePasskey);
    for (const { seal } of [await rowOf(good.id), { seal: null }]) {
      await set(approval.id, { seal });
      assert.equal(await found(approval), undefined);
    }
  });

  /** @proves law-4.enrolled-keys */
  test('nor is one by a key that was never that person’s, whoever has sealed it; one whose passkey is gone since stays a yes', async () => {
    const { approval } = await waiting();
    const assertion = forgedYes(approval, APPROVER);
    const at = house.clock.now();
    const vote: VoteRow = {
      ...{ approval: approval.id, number: 1, person: APPROVER, answer: 'yes', at, assertion, reason: null },
    };
    await house.storage.db.insertInto('approval_votes').values(vote).execute();
    const approved = { state: 'approved', decided_at: at, decided_by: APPROVER, assertion, answers: 1 };
    await set(approval.id, approved);
    await set(approval.id, { seal: sealApproval(house.sealer, await rowOf(approval.id), [vote]) });
    const problemOf = async ({ id }: Approval) => (await (await approvalsOf(house)).inspect([id]))[0]?.problem;
    assert.equal(await found(approval), undefined);
    assert.match((await problemOf(approval)) ?? '', /its key was never enrolled for approver@example.test/);
    // What is over has no seal any more, and its keys are looked at all the same.
    await set(approval.id, { state: 'consumed', seal: null });
    assert.match((await problemOf(approval)) ?? '', /never enrolled/);
    // A key that is written in lets nobody say yes, and the key of somebody else neither.
    const { publicKey } = JSON.parse(assertion) as { publicKey: Json };
    const { db } = house.storage;
    const row = await db
      .selectFrom('enrolled_keys')
      .selectAll()
      .where('person', '=', APPROVER)
      .executeTakeFirstOrThrow();
    const id = createHash('sha256')
      .update(canonicalJson({ person: APPROVER, key: digestJson(publicKey) }))
      .digest('hex');
    await db
      .insertInto('enrolled_keys')
      .values({ ...row, id, key: digestJson(publicKey) })
      .execute();
    assert.match((await problemOf(approval)) ?? '', /never enrolled/);

    const { approval: good } = await waiting();
    await approve(approvals, good, APPROVER, passkeys.get(APPROVER) as SoftwarePasskey);
    assert.equal(
      await house.people.wasEnrolled(ONE, JSON.parse((await rowOf(good.id)).assertion ?? '').publicKey),
      false,
    );
    const kept = await db.selectFrom('passkeys').selectAll().where('person', '=', APPROVER).execute();
    await db.deleteFrom('passkeys').where('person', '=', APPROVER).execute();
    const again = createPeople(house);
    const fresh = await createApprovals({ ...house, people: again });
    assert.equal(fresh.find(asAsked(good))?.state, 'approved');
    // Of before these rows: the keys of passkeys that are gone are found in the records of their enrolments.
    await db.deleteFrom('enrolled_keys').execute();
    const lost = await createApprovals({ ...house, people: createPeople(house) });
    assert.equal(lost.find(asAsked(good)), undefined);
    for (let each = 0; each < 2; each++) {
      await db.insertInto('meta').values({ key: 'seal:enrolled-keys', value: 'due' }).execute();
      await noteKeysOfBefore(house);
    }
    const [noted, ...more] = await house.records('passkey.keys');
    assert.equal(noted?.changes.length, 3);
    assert.equal(more.length, 0, 'whatever the database asks for, once');
    const noting = await createApprovals({ ...house, people: createPeople(house) });
    assert.equal(noting.find(asAsked(good))?.state, 'approved');
    await db.insertInto('passkeys').values(kept).execute();
  });

  test('a deputy whom nobody has named speaks for nobody', async () => {
    const { approval } = await waiting([twoFromFinance]);
    const until = house.clock.now() + 3_600_000;
    const wanted = { deputy: APPROVER, until: new Date(until).toISOString(), reason: 'away' };
    const options = (await approvals.deputies.options(ONE, wanted)) as unknown as RequestOptions;
    const assertion = { ...(passkeys.get(ONE) as SoftwarePasskey).assert(options, ORIGIN) };
    const { id } = await approvals.deputies.create(ONE, wanted, assertion);
    const deciders = async () => (await approvalsOf(house)).whoMayApprove(approval);
    assert.ok((await deciders()).includes(APPROVER));
    const { db } = house.storage;
    const kept = await db.selectFrom('deputies').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
    await db
      .insertInto('deputies')
      .values({ ...kept, id: 'dep_written', person: TWO, deputy: EVE })
      .execute();
    for (const change of [
      { deputy: EVE },
      { person: TWO, deputy: EVE },
      { until_at: kept.until_at + 1, deputy: EVE },
      { seal: null, deputy: EVE },
    ]) {
      await db.updateTable('deputies').set(change).where('id', '=', id).execute();
      assert.deepEqual(await deciders(), [ONE, TWO], JSON.stringify(change));
      await db.updateTable('deputies').set(kept).where('id', '=', id).execute();
    }
    await db
      .updateTable('deputies')
      .set({ until_at: kept.until_at + 1 })
      .where('id', '=', id)
      .execute();
    assert.ok(!(await deciders()).includes(APPROVER), 'nor for longer');
    await db.deleteFrom('deputies').execute();
  });

  test('no column that decides is changed, and no answer is changed or left out', async () => {
    const { approval } = await waiting([twoFromFinance]);
    await approve(approvals, approval, ONE, passkeys.get(ONE) as SoftwarePasskey);
    await approvals.deny(approval.id, TWO, 'not yet');
    assert.equal(await found(approval), 'pending', 'what nobody has changed holds');
    const { id } = approval;
    const kept = await rowOf(id);
    const body = JSON.parse(kept.body);
    for (const change of [
      { expires_at: kept.expires_at + 1 },
      { created_at: kept.created_at + 1 },
      { escalated_seconds: 600 },
      { body: JSON.stringify({ ...body, policyAuthors: [ONE] }) },
      { body: JSON.stringify({ ...body, requestedBy: ONE }) },
      { answers: 1 },
      { answers: 0 },
      { seal: null },
    ]) {
      await set(id, change);
      assert.equal(await found(approval), undefined, JSON.stringify(change).slice(0, 100));
      await assert.rejects(approvals.approvalOptions(id, TWO));
      await set(id, kept);
    }
    const { db } = house.storage;
    const votes = await db.selectFrom('approval_votes').selectAll().where('approval', '=', id).execute();
    const first = votes.find(({ answer }) => answer === 'yes');
    const restore = async () => {
      await db.deleteFrom('approval_votes').where('approval', '=', id).execute();
      await db.insertInto('approval_votes').values(votes).execute();
    };
    for (const change of [{ at: (first?.at ?? 0) + 1 }, { number: 3 }, { answer: 'no' }]) {
      await db
        .updateTable('approval_votes')
        .set(change)
        .where('approval', '=', id)
        .where('answer', '=', 'yes')
        .execute();
      assert.equal(await found(approval), undefined, JSON.stringify(change));
      await restore();
    }
    await db.deleteFrom('approval_votes').where('approval', '=', id).where('answer', '=', 'no').execute();
    assert.equal(await found(approval), undefined, 'a no that is gone');
    // Nor does somebody's honest answer afterwards make good what was changed.
    await approvals.deny(id, TWO, 'still not');
    assert.equal(await found(approval), undefined);
    await restore();
  });

  test('without its answers a yes of a channel is still that of a channel', async () => {
    const { approval } = await waiting();
    const said = {
      approval: approval.id,
      digest: approval.digest,
      person: APPROVER,
      channel: 'slack',
      who: 'U1',
      at: 1,
    };
    const assertion = sealYes({ ...said, verified: {} }, house.sealer);
    const row = { ...(await rowOf(approval.id)), state: 'approved', decided_at: 1, decided_by: APPROVER, assertion };
    assert.equal(toApproval(row, [], 1).votes[0]?.channel, 'slack');
    await set(approval.id, { state: 'approved', decided_at: 1, decided_by: APPROVER, assertion });
    assert.equal(await found(approval), undefined);
  });

  test('a value that nobody endorsed does not stand', async () => {
    const { approval } = await waiting();
    const { task } = approval;
    await house.storage.transaction((transaction) =>
      createFlow({ ...house, kinds: () => sensitiveKinds(house.registry.snapshot()) }).endorse(transaction, {
        approval: approval.id,
        task,
        person: APPROVER,
        values: [{ role: 'recipient', value: 'ada@example.test', for: 'shop: send' }] as never,
      }),
    );
    const { db } = house.storage;
    const [kept] = await db.selectFrom('flow_endorsements').selectAll().where('task', '=', task).execute();
    assert.ok(kept);
    const endorsed = async () => {
      const labels = createLabels({ ...house, kinds: () => [] });
      await labels.load([holderOfTask(task)]);
      return labels.known(holderOfTask(task))?.endorsements.map(({ value }) => value);
    };
    assert.deepEqual(await endorsed(), [kept.value]);
    await db
      .insertInto('flow_endorsements')
      .values({ ...kept, id: 'edm_written', value: EVE })
      .execute();
    assert.deepEqual(await endorsed(), [kept.value]);
    for (const change of [{ value: EVE }, { covers: 'shop: pay' }, { seal: null }]) {
      await db.updateTable('flow_endorsements').set(change).where('id', '=', kept.id).execute();
      assert.deepEqual(await endorsed(), [], JSON.stringify(change));
      await db.updateTable('flow_endorsements').set(kept).where('id', '=', kept.id).execute();
    }
  });

  test('what was open before rows were sealed ends and is asked again', async () => {
    const { approval, request } = await waiting();
    await set(approval.id, { seal: null });
    const restarted = await approvalsOf(house);
    assert.equal(restarted.find(asAsked(approval)), undefined);
    const again = await restarted.open(request);
    assert.notEqual(again.id, approval.id);
    await restarted.expire();
    assert.equal((await restarted.get(approval.id))?.state, 'cancelled');
    assert.equal((await restarted.get(again.id))?.state, 'pending');
  });
});
