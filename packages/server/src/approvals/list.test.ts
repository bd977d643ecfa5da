import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Approval, type ManifestInput, manifest } from '@gatehouse/protocol';
import fc from 'fast-check';
import type { RequestOptions, SoftwarePasskey } from '../../../sdk/src/software-passkey.ts';
import { listChallenge as verifiersListChallenge } from '../../../verifier/src/index.ts';
import { onEachDatabase } from '../identity/people/testing/databases.ts';
import { type House, ORIGIN } from '../identity/people/testing/house.ts';
import { limits } from '../platform/index.ts';
import { evidenceProblem } from './evidence.ts';
import { ordinaryRule } from './rule/standing.ts';
import { type ListedApproval, listChallenge } from './subject.ts';
import { APPROVER, AUDITOR, addAgent, consume, openDesk, requestOf, stopAgent } from './testing/desk.ts';
import type { Approvals } from './types.ts';

const shop: ManifestInput = {
  kind: 'ToolServer',
  name: 'shop',
  environments: ['prod'],
  transport: { type: 'http', url: 'http://127.0.0.1:9', allowPrivateAddress: true },
  tools: {
    refund: { tier: 3, effects: ['pay'], undo: { possible: 'yes', how: 'charge again' } },
    wipe: { tier: 3, effects: ['delete'] },
  },
};
const listOf = (approvals: readonly Approval[]): ListedApproval[] =>
  approvals.map(({ id, digest }) => ({ approval: id, digest })).sort((a, b) => (a.approval < b.approval ? -1 : 1));

/** @proves approval.list */
onEachDatabase('a list signed with one gesture', (database) => {
  let house: House;
  let approvals: Approvals;
  let passkey: SoftwarePasskey;
  let auditor: SoftwarePasskey;
  let number = 0;
  before(async () => {
    ({ house, approvals } = await openDesk({ database: await database() }));
    await house.registry.apply([manifest.parse(shop)], { prune: false, by: 'gatehouse' });
    passkey = (await house.enrol(APPROVER, { counter: 'none' })).passkey;
    auditor = (await house.enrol(AUDITOR, { counter: 'none' })).passkey;
  });
  after(() => house.close());

  async function waiting(count: number, change: Parameters<typeof requestOf>[0] = {}) {
    const worker = await addAgent(house, `agent-listed-${++number}`);
    const open: Approval[] = [];
    for (let order = 1; order <= count; order++)
      open.push(
        await approvals.open(
          requestOf({ ...worker, arguments: { order, amount: '40.00', currency: 'EUR' }, ...change }),
        ),
      );
    return { ...worker, worker, open, list: listOf(open) };
  }
  const signed = async (list: readonly ListedApproval[]) => {
    const options = (await approvals.listOptions(list, APPROVER)) as unknown as RequestOptions;
    return { ...passkey.assert(options, ORIGIN) };
  };
  const statesOf = async (open: readonly Approval[]) =>
    Promise.all(open.map(async ({ id }) => (await approvals.get(id))?.state));

  test('approves each, once, with a record and evidence of its own', async () => {
    const { open, list } = await waiting(4);
    const approved = await approvals.approveList(list, APPROVER, await signed(list));
    assert.deepEqual(
      approved.map(({ state }) => state),
      Array(4).fill('approved'),
    );
    for (const { id, digest, actionId } of open) {
      const evidence = (await approvals.signed(id))?.yes[0];
      assert.deepEqual(evidence?.list, list);
      const of = { id, digest, decidedBy: APPROVER, origin: ORIGIN };
      assert.equal(evidenceProblem(JSON.stringify(evidence), of), null);
      const records = (await house.records('approval.approve')).filter(({ approval }) => approval === id);
      assert.deepEqual(
        records.map(({ action_id }) => action_id),
        [actionId],
      );
      assert.deepEqual(await consume(house, { id }, actionId), await consumed());
      assert.deepEqual(await consume(house, { id }, actionId), { ok: false, failed: 'approval' }, 'once');
    }
    // The evidence of one is none of another, and no part of it is.
    const [first, second] = open as [Approval, Approval];
    const evidence = (await approvals.signed(first.id))?.yes[0];
    const ofSecond = { id: second.id, digest: second.digest, decidedBy: APPROVER, origin: ORIGIN };
    assert.notEqual(evidenceProblem(JSON.stringify(evidence), ofSecond), null);
    for (const changed of [list.slice(1), list.slice(0, -1), list.toReversed(), [...list, { ...list[0] }]])
      assert.notEqual(
        evidenceProblem(JSON.stringify({ ...evidence, list: changed }), {
          ...ofSecond,
          id: first.id,
          digest: first.digest,
        }),
        null,
      );
  });

  async function consumed() {
    const { open } = await waiting(1);
    const [{ id, actionId }] = open as [Approval];
    await approvals.approve(id, APPROVER, {
      ...passkey.assert((await approvals.approvalOptions(id, APPROVER)) as unknown as RequestOptions, ORIGIN),
    });
    return consume(house, { id }, actionId);
  }

  test('any other list than the one signed is refused whole: a part, more, another order, another digest', async () => {
    const { open, list } = await waiting(5);
    const shown = list.slice(0, 4);
    const assertion = await signed(shown);
    const other = { ...(shown[1] as ListedApproval), digest: `sha256-${'1'.repeat(64)}` };
    for (const given of [
      shown.slice(0, 3),
      list,
      shown.toReversed(),
      [shown[0], other, shown[2], shown[3]],
      [...shown.slice(0, 3), list[4]],
      [],
      [shown[0]],
      [...shown, shown[3]],
    ] as ListedApproval[][])
      await assert.rejects(approvals.approveList(given, APPROVER, assertion), JSON.stringify(given));
    await assert.rejects(approvals.approve(shown[0]?.approval ?? '', APPROVER, assertion), {
      code: 'passkey.not-verified',
    });
    assert.deepEqual(await statesOf(open), Array(5).fill('pending'));
    await approvals.approveList(shown, APPROVER, assertion);
    await assert.rejects(approvals.approveList(shown, APPROVER, assertion), { code: 'approval.decided' });
  });

  test('when one of them can’t be approved any more, none is', async () => {
    const { open, list } = await waiting(3);
    const assertion = await signed(list);
    await approvals.deny(list[2]?.approval ?? '', APPROVER, 'not this one');
    await assert.rejects(approvals.approveList(list, APPROVER, assertion), { code: 'approval.decided' });
    assert.deepEqual((await statesOf(open)).sort(), ['denied', 'pending', 'pending']);
    const refused = (await house.records('approval.approve.refuse')).filter(
      ({ approval }) => approval === list[0]?.approval,
    );
    assert.equal(refused.length, 1);

    const stopped = await waiting(2);
    const given = await signed(stopped.list);
    await stopAgent(house, stopped.agent);
    await assert.rejects(approvals.approveList(stopped.list, APPROVER, given), { code: 'approval.agent-changed' });
  });

  test('what is of another kind, differs in too much or is approved alone is in no list', async () => {
    const { list } = await waiting(1);
    const { list: others } = await waiting(1);
    const sorted = [...list, ...others].sort((a, b) => (a.approval < b.approval ? -1 : 1));
    await assert.rejects(approvals.listOptions(sorted, APPROVER), { code: 'approval.list-mixed' });
    // Nor what is for somebody else, for another purpose, or by another rule: no row would show it.
    const mixed = await addAgent(house, `agent-listed-${++number}`);
    const asked = (order: number, change: object, more: object = {}) =>
      approvals.open(requestOf({ ...mixed, arguments: { order, amount: '40.00', currency: 'EUR' }, ...change }, more));
    const plain = await asked(1, {});
    const rule = { ...ordinaryRule, name: 'other' };
    for (const [at, [change, more]] of (
      [
        [{ delegated: { user: 'ada@example.test', chain: [], narrowing: [] } }, {}],
        [{ rules: [rule] }, {}],
        [{}, { intent: 'empty the till' }],
        [{}, { onBehalfOf: 'ada@example.test' }],
        [{}, { requestedBy: 'ada@example.test' }],
        [{}, { decision: { ...plain.decision, situation: { sensitive: ['pii'] } } }],
        [{}, { decision: { ...plain.decision, situation: { untrusted: true } } }],
      ] as [object, object][]
    ).entries()) {
      const other = await asked(at + 2, change, more);
      await assert.rejects(approvals.listOptions(listOf([plain, other]), APPROVER), { code: 'approval.list-mixed' });
    }
    assert.ok(await approvals.listOptions(listOf([plain, await asked(99, {})]), APPROVER));
    const wide = await addAgent(house, `agent-listed-${++number}`);
    const members = (value: string) =>
      Object.fromEntries(Array.from({ length: limits.approvalListColumns + 1 }, (_, at) => [`m${at}`, value]));
    const apart = [
      await approvals.open(requestOf({ ...wide, arguments: members('a') })),
      await approvals.open(requestOf({ ...wide, arguments: members('b') })),
    ];
    await assert.rejects(approvals.listOptions(listOf(apart), APPROVER), { code: 'approval.list-mixed' });
    const { list: grave } = await waiting(2, { tool: 'shop/wipe' });
    await assert.rejects(approvals.listOptions(grave, APPROVER), { code: 'approval.alone' });
    // Nor when the operator takes back meanwhile that it can be undone.
    const { list: good } = await waiting(2);
    const assertion = await signed(good);
    const { refund, ...tools } = shop.kind === 'ToolServer' ? (shop.tools ?? {}) : {};
    const without = manifest.parse({ ...shop, tools: { ...tools, refund: { ...refund, undo: undefined } } });
    await house.registry.apply([without], { prune: false, by: 'gatehouse' });
    await assert.rejects(approvals.approveList(good, APPROVER, assertion), { code: 'approval.alone' });
    await house.registry.apply([manifest.parse(shop)], { prune: false, by: 'gatehouse' });
  });

  test('who may not approve each may not approve the list, whoever’s passkey it is', async () => {
    const { list, worker, open } = await waiting(2);
    await assert.rejects(approvals.listOptions(list, AUDITOR), { code: 'approval.not-approver' });
    const challenge = Buffer.from(listChallenge(list)).toString('base64url');
    const foreign = { ...auditor.assert({ challenge, rpId: 'localhost' }, ORIGIN) };
    await assert.rejects(approvals.approveList(list, APPROVER, foreign), { code: 'passkey.not-verified' });
    const own = await approvals.open(
      requestOf({ ...worker, arguments: { order: 9, amount: '40.00', currency: 'EUR' } }, { requestedBy: APPROVER }),
    );
    await assert.rejects(approvals.listOptions(listOf([...open, own]), APPROVER), { code: 'approval.requester' });
    assert.deepEqual(await statesOf(open), ['pending', 'pending']);
  });
});

test('the challenge of a list is what the offline verifier computes', () => {
  const pair = fc.record({
    approval: fc.stringMatching(/^apr_[a-z0-9]{1,8}$/),
    digest: fc.stringMatching(/^sha256-[0-9a-f]{8}$/),
  });
  fc.assert(
    fc.property(fc.uniqueArray(pair, { minLength: 2, maxLength: 50, selector: ({ approval }) => approval }), (list) => {
      const sorted = list.sort((a, b) => (a.approval < b.approval ? -1 : 1));
      assert.deepEqual(Buffer.from(listChallenge(sorted)), Buffer.from(verifiersListChallenge(sorted)));
    }),
  );
});
