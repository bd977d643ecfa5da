import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Approval, Decision, GrantRequest, GrantTerms } from '@gatehouse/protocol';
import fc from 'fast-check';
import type { RequestOptions, SoftwarePasskey } from '../../../../sdk/src/software-passkey.ts';
import { onEachDatabase } from '../../identity/people/testing/databases.ts';
import { type House, ORIGIN } from '../../identity/people/testing/house.ts';
import type { Json } from '../../platform/index.ts';
import type { LogUnitResult } from '../../storage/index.ts';
import {
  APPROVER,
  AUDITOR,
  addAgent,
  approvalsOf,
  asAsked,
  OWNER,
  openDesk,
  requestOf,
  resumeAgent,
  stopAgent,
} from '../testing/desk.ts';
import type { ApprovalSubject, Approvals } from '../types.ts';
import { fenceOf, type HeldGrant } from './index.ts';

const REFUND = { order: 1042, amount: '40.00', currency: 'EUR' };
const grantable = { calls: 20, seconds: 3_600 };
const WITHIN: GrantRequest = { calls: 3, seconds: 600, bounds: [{ at: ['amount'], min: '0.01', max: '50' }] };

onEachDatabase('standing grants', (database) => {
  let house: House;
  /** Two replicas on one database. */
  let desks: [Approvals, Approvals];
  let approver: SoftwarePasskey;
  before(async () => {
    const { house: opened, approvals } = await openDesk({ database: await database() });
    house = opened;
    approver = (await house.enrol(APPROVER, { counter: 'none' })).passkey;
    desks = [approvals, await approvalsOf(house)];
  });
  after(() => house.close());

  let number = 0;
  async function waiting(change: Partial<Decision> = {}) {
    const worker = await addAgent(house, `granted-${++number}`);
    const request = requestOf(worker);
    Object.assign(request.decision, { grantable, ...change });
    const { subject, decision } = request;
    return { ...worker, subject, decision, approval: await desks[0].open(request) };
  }
  async function give(approval: Approval, request: GrantRequest = WITHIN, desk = desks[0]) {
    const { options, terms } = await desk.grantOptions(approval.id, APPROVER, request);
    const assertion = { ...approver.assert(options as unknown as RequestOptions, ORIGIN) };
    await desk.approve(approval.id, APPROVER, assertion, [], terms);
    return { terms, assertion };
  }
  async function granted(request: GrantRequest = WITHIN) {
    const asked = await waiting();
    const given = await give(asked.approval, request);
    const id = `grn_${asked.approval.id.slice(4)}`;
    await desks[1].refresh([{ sequence: 1, topic: 'approval', key: id, at: 0 }]);
    const find = (args: Json = REFUND, at = 0, change: Partial<ApprovalSubject> = {}) =>
      desks[at]?.grants.find({
        subject: { ...asked.subject, arguments: args, ...change },
        decision: asked.decision,
        except: new Set(),
      });
    return { ...asked, ...given, id, find };
  }
  let actions = 0;
  /** What the dispatch of a covered call writes. */
  const dispatch = (grant: HeldGrant, args: Json, at = 0): Promise<LogUnitResult> =>
    house.storage.append({
      guards: [{ key: fenceOf(grant.id), version: 0 }],
      spend: {
        actionId: `act_covered_${++actions}`,
        now: house.clock.now(),
        counters: desks[at] ? [desks[at].grants.spend(grant, args)] : [],
      },
      records: [],
      bodies: [],
    });
  const refund = (amount: string): Json => ({ ...REFUND, amount });

  test('a yes that grants more approves its own call, and covers others like it on every replica', async () => {
    const { id, find, approval, terms, subject } = await granted();
    assert.equal(desks[0].find(asAsked(approval))?.state, 'approved');
    for (const at of [0, 1]) assert.equal(find(refund('50.00'), at)?.id, id);
    assert.equal(find(refund('50.01')), undefined);
    const shown = await desks[1].grants.get(id);
    assert.deepEqual([shown?.state, shown?.used, shown?.givenBy], ['active', 0, APPROVER]);
    assert.deepEqual(shown?.terms, terms);
    const [record] = (await house.records('grant.give')).filter((each) => each.task === subject.task);
    assert.equal(record?.approval, id);
    assert.match(record?.changes.join('\n') ?? '', /3 more calls of shop\/refund until .*\nbound \{"at":\["amount"\]/);
  });

  /** @proves law-4.grant-count */
  test('calls that race for it on two replicas get no more than were granted, nor more than the sum', async () => {
    const { find, id } = await granted({ ...WITHIN, calls: 5, sum: { at: ['amount'], max: '60.00' } });
    const grants = [find(refund('10.00'), 0), find(refund('10.00'), 1)] as [HeldGrant, HeldGrant];
    const tried = await Promise.all(
      Array.from({ length: 24 }, (_, index) => dispatch(grants[index % 2 ? 1 : 0], refund('10.00'), index % 2)),
    );
    assert.equal(tried.filter(({ ok }) => ok).length, 5);
    const shown = await desks[0].grants.get(id);
    assert.deepEqual([shown?.state, shown?.used, shown?.usedSum], ['used-up', 5, '50']);

    const second = await granted({ ...WITHIN, calls: 5, sum: { at: ['amount'], max: '60.00' } });
    const grant = second.find() as HeldGrant;
    const sums = [];
    for (const amount of ['50.00', '10.01', '10.00', '0.01']) sums.push((await dispatch(grant, refund(amount))).ok);
    assert.deepEqual(sums, [true, false, true, false]);
  });

  /** @proves law-4.grant-count */
  test('no sequence of calls passes beyond count, bounds, sum or time', async () => {
    const step = fc.record({
      cents: fc.integer({ min: 0, max: 6_000 }),
      wait: fc.constantFrom(0, 0, 0, 100_000, 400_000),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 12 }), async (steps) => {
        const { find, terms } = await granted({ ...WITHIN, sum: { at: ['amount'], max: '80.00' } });
        const passed: number[] = [];
        for (const { cents, wait } of steps) {
          house.pass(wait);
          const args = refund((cents / 100).toFixed(2));
          const grant = find(args);
          if (!grant || !(await dispatch(grant, args)).ok) continue;
          passed.push(cents);
          assert.ok(cents >= 1 && cents <= 5_000);
          assert.ok(house.clock.now() < terms.until);
        }
        assert.ok(passed.length <= 3);
        assert.ok(passed.reduce((sum, cents) => sum + cents, 0) <= 8_000);
      }),
      { numRuns: 8 },
    );
  });

  /** @proves law-4.grant-exact */
  test('it covers its own agent, epoch, task, tool, definition, policies and authority, and nothing else', async () => {
    const { find, subject, decision } = await granted();
    const others: Partial<ApprovalSubject>[] = [
      { agent: 'granted-0' },
      { agentEpoch: subject.agentEpoch + 1 },
      { task: 'tsk_other' },
      { operation: 'tools/call at gateway x' },
      { tool: 'shop/other' },
      { toolDefinition: `sha256-${'1'.repeat(64)}` },
      { policyVersion: 'policy-2' },
      { delegated: { user: OWNER, chain: [], narrowing: [] } },
    ];
    for (const change of others) assert.equal(find(REFUND, 0, change), undefined, JSON.stringify(change));
    const finds = (now: Partial<Decision>) =>
      desks[0].grants.find({ subject, decision: { ...decision, ...now }, except: new Set() });
    assert.ok(finds({}));
    // What policies say of this very call counts: it may be held for another reason than the approved one.
    assert.equal(finds({ grantable: { calls: 2, seconds: 3_600 } }), undefined);
    assert.equal(finds({ grantable: { calls: 20, seconds: 60 } }), undefined);
    assert.equal(finds({ effect: 'deny' }), undefined);
    const { grantable: _, ...alone } = decision;
    assert.equal(desks[0].grants.find({ subject, decision: alone, except: new Set() }), undefined);
  });

  test('only where policy allows it, within what it allows, and for no longer than the task', async () => {
    const { approval: alone } = await waiting({ grantable: undefined } as unknown as Partial<Decision>);
    await assert.rejects(give(alone), { code: 'grant.not-allowed' });
    const { approval } = await waiting();
    await assert.rejects(give(approval, { ...WITHIN, calls: 21 }), { code: 'grant.too-wide' });
    await assert.rejects(give(approval, { ...WITHIN, seconds: 3_601 }), { code: 'grant.too-wide' });
    await assert.rejects(give(approval, { ...WITHIN, bounds: [{ at: ['amount'], min: '0', max: '1' }] }), {
      code: 'grant.bounds',
    });
    house.pass(2_000_000);
    const { approval: late, task } = await waiting();
    house.pass(0);
    const { terms } = await give(late, { ...WITHIN, seconds: 3_600 });
    const row = await house.storage.db
      .selectFrom('tasks')
      .select('expires_at')
      .where('id', '=', task)
      .executeTakeFirst();
    assert.ok(terms.until <= (row?.expires_at ?? 0));
  });

  /** @proves law-4.grant-signed */
  test('terms that were not signed, and signatures over other terms, grant nothing and approve nothing', async () => {
    const { approval } = await waiting();
    const { options, terms } = await desks[0].grantOptions(approval.id, APPROVER, WITHIN);
    const assertion = { ...approver.assert(options as unknown as RequestOptions, ORIGIN) };
    const wider: (GrantTerms | undefined)[] = [
      { ...terms, calls: 4 },
      { ...terms, until: terms.until - 1 },
      { ...terms, bounds: [{ at: ['amount'], min: '0.01', max: '49' }] },
      { ...terms, bounds: [] },
      { ...terms, sum: { at: ['amount'], max: '1' } },
      undefined,
    ];
    for (const each of wider)
      await assert.rejects(desks[0].approve(approval.id, APPROVER, assertion, [], each), {
        code: 'passkey.not-verified',
      });
    const plain = (await desks[0].approvalOptions(approval.id, APPROVER)) as unknown as RequestOptions;
    await assert.rejects(desks[0].approve(approval.id, APPROVER, { ...approver.assert(plain, ORIGIN) }, [], terms), {
      code: 'passkey.not-verified',
    });
    assert.equal((await desks[0].get(approval.id))?.state, 'pending');
    await desks[0].approve(approval.id, APPROVER, assertion, [], terms);
    const { approval: other } = await waiting();
    await assert.rejects(desks[0].approve(other.id, APPROVER, assertion, [], terms), { code: 'passkey.not-verified' });
    house.pass(6 * 60_000);
    const { approval: slow } = await waiting();
    const asked = await desks[0].grantOptions(slow.id, APPROVER, WITHIN);
    house.pass(6 * 60_000);
    const signed = { ...approver.assert(asked.options as unknown as RequestOptions, ORIGIN) };
    await assert.rejects(desks[0].approve(slow.id, APPROVER, signed, [], asked.terms), { code: 'grant.times' });
  });

  /** @proves law-4.grant-signed */
  test('a row that was changed by hand in any one member covers nothing', async () => {
    const { id, subject, approval } = await granted();
    const kept = await house.storage.db
      .selectFrom('standing_grants')
      .selectAll()
      .where('id', '=', id)
      .executeTakeFirstOrThrow();
    const terms = JSON.parse(kept.terms);
    const evidence = JSON.parse(kept.assertion);
    const changes: Partial<typeof kept>[] = [
      { id: 'grn_another' },
      { approval: 'apr_another' },
      { agent: 'granted-0' },
      { task: 'tsk_other' },
      { digest: `sha256-${'1'.repeat(64)}` },
      ...Object.keys(subject).map((member) => ({ subject: JSON.stringify({ ...subject, [member]: 'x' }) })),
      { terms: JSON.stringify({ ...terms, calls: 1_000 }) },
      { terms: JSON.stringify({ ...terms, bounds: [] }) },
      { terms: JSON.stringify({ ...terms, until: terms.until + 1 }), expires_at: terms.until + 1 },
      { terms: JSON.stringify({ ...terms, from: terms.from - 1 }) },
      { terms: 'x' },
      { given_by: OWNER },
      { expires_at: kept.expires_at + 1 },
      { assertion: JSON.stringify({ ...evidence, grant: { ...terms, calls: 1_000 } }) },
      {
        assertion: JSON.stringify({ ...evidence, grant: { ...terms, calls: 9 } }),
        terms: JSON.stringify({ ...terms, calls: 9 }),
      },
      { assertion: JSON.stringify({ ...evidence, person: OWNER }) },
      { assertion: 'x' },
      // All of it fits, and yet nobody here has given it.
      { seal: null },
    ];
    for (const change of changes) {
      await house.storage.transaction(async (transaction) => {
        await transaction.deleteFrom('standing_grants').where('approval', 'in', [approval.id, 'apr_another']).execute();
        await transaction
          .insertInto('standing_grants')
          .values({ ...kept, ...change })
          .execute();
      });
      const fresh = await approvalsOf(house);
      for (const args of [REFUND, refund('50.00')])
        assert.equal(
          fresh.grants.find({
            subject: { ...subject, arguments: args },
            decision: { ...(await desks[0].get(approval.id))?.decision } as Decision,
            except: new Set(),
          }),
          undefined,
          JSON.stringify(change).slice(0, 200),
        );
    }
    await house.storage.transaction(async (transaction) => {
      await transaction.deleteFrom('standing_grants').where('approval', 'in', [approval.id, 'apr_another']).execute();
      await transaction.insertInto('standing_grants').values(kept).execute();
    });
    const fresh = await approvalsOf(house);
    const decision = (await desks[0].get(approval.id))?.decision as Decision;
    assert.equal(
      fresh.grants.find({ subject, decision, except: new Set() })?.id,
      id,
      'and after a restart it is there',
    );
  });

  test('revoked: by its giver, the owner or security, on every replica, also against a dispatch under way', async () => {
    const { id, find } = await granted();
    const grant = find() as HeldGrant;
    const { seal } = await house.storage.db
      .selectFrom('standing_grants')
      .select('seal')
      .where('id', '=', id)
      .executeTakeFirstOrThrow();
    await assert.rejects(desks[0].grants.revoke(id, AUDITOR, ''), { code: 'grant.not-yours' });
    await assert.rejects(desks[0].grants.revoke('grn_none', OWNER, ''), { code: 'grant.unknown' });
    const revoked = await desks[0].grants.revoke(id, APPROVER, 'ticket closed');
    assert.deepEqual([revoked.state, revoked.endedBy, revoked.reason], ['revoked', APPROVER, 'ticket closed']);
    assert.equal(find(), undefined);
    assert.deepEqual(await dispatch(grant, REFUND), { ok: false, failed: 'guard', key: fenceOf(id) });
    // Whoever writes to the database brings it back on no replica: its seal is gone, and with a copy of it its fence has moved.
    await house.storage.transaction((transaction) =>
      transaction.updateTable('standing_grants').set({ ended_at: null, ended_by: null }).where('id', '=', id).execute(),
    );
    await desks[1].refresh([{ sequence: 1, topic: 'approval', key: id, at: 0 }]);
    assert.equal(find(REFUND, 1), undefined);
    await house.storage.transaction((transaction) =>
      transaction.updateTable('standing_grants').set({ seal }).where('id', '=', id).execute(),
    );
    await desks[1].refresh([{ sequence: 1, topic: 'approval', key: id, at: 0 }]);
    assert.equal((await dispatch(find(REFUND, 1) as HeldGrant, REFUND, 1)).ok, false);
    assert.equal((await house.records('grant.revoke')).filter((each) => each.approval === id).length, 1);
  });

  test('it ends with its agent, and when its giver may approve nothing any more', async () => {
    const { id, agent, find } = await granted();
    await house.storage.transaction((transaction) =>
      desks[0].cancelAll(transaction, { agent }, 'person:owner@example.test'),
    );
    await stopAgent(house, agent);
    await resumeAgent(house, agent);
    await desks[0].refresh([{ sequence: 1, topic: 'approval', key: id, at: 0 }]);
    assert.equal(find(), undefined);
    assert.equal((await desks[0].grants.get(id))?.state, 'ended');

    const second = await granted();
    assert.ok(second.find());
    await house.declare(APPROVER, 'auditor');
    assert.equal(second.find(), undefined);
    await house.declare(APPROVER, 'approver');
    assert.ok(second.find());
  });
});
