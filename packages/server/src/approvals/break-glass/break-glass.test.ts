import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type BreakGlass, breakGlassLimits, type Decision, manifest, toolServerManifest } from '@gatehouse/protocol';
import type { RequestOptions, SoftwarePasskey } from '../../../../sdk/src/software-passkey.ts';
import { onEachDatabase } from '../../identity/people/testing/databases.ts';
import { type House, ORIGIN } from '../../identity/people/testing/house.ts';
import { APPROVER, AUDITOR, addAgent, approvalsOf, openDesk, requestOf } from '../testing/desk.ts';
import type { ApprovalSubject, Approvals } from '../types.ts';
import { fenceOf } from './index.ts';

const SECOND = 'second@example.test';
const ASKER = 'asker@example.test';
const REASON = 'double charges since this morning';

onEachDatabase('break-glass', (database) => {
  let house: House;
  let desk: Approvals;
  const passkeys = new Map<string, SoftwarePasskey>();
  before(async () => {
    ({ house, approvals: desk } = await openDesk({ database: await database() }));
    for (const person of [SECOND, ASKER]) await house.declare(person, 'security', 'approver');
    for (const person of [APPROVER, SECOND, ASKER, AUDITOR])
      passkeys.set(person, (await house.enrol(person, { counter: 'none' })).passkey);
    const server = toolServerManifest.parse({
      kind: 'ToolServer',
      name: 'shop',
      environments: ['prod'],
      transport: { type: 'stdio', command: 'node' },
      tools: { refund: { tier: 3, effects: ['pay'] }, drop: { tier: 4, effects: ['delete'] } },
    });
    const definitions = ['refund', 'drop'].map((name) => ({
      kind: 'tool' as const,
      name,
      body: { name, inputSchema: { type: 'object' } },
    }));
    await house.registry.apply([server], { prune: false, by: 'gatehouse' });
    await house.registry.observeDefinitions('shop', definitions as never, 'gatehouse');
  });
  after(() => house.close());

  let number = 0;
  async function asked(change: Record<string, unknown> = {}) {
    const worker = await addAgent(house, `breaks-${++number}`);
    const glass = await desk.breakGlass.request(
      { task: worker.task, tools: ['shop/refund'], incident: 'INC-1042', reason: REASON, seconds: 900, ...change },
      `person:${ASKER}`,
    );
    const { subject, decision } = requestOf(worker);
    const find = (of: Partial<ApprovalSubject> = {}, now: Partial<Decision> = {}, at = desk) =>
      at.breakGlass.find({ subject: { ...subject, ...of }, decision: { ...decision, ...now } });
    return { ...worker, glass, find };
  }
  async function sign({ id }: BreakGlass, person: string, change: { until?: number; passkey?: SoftwarePasskey } = {}) {
    const { options, until } = await desk.breakGlass.options(id, person);
    const passkey = change.passkey ?? passkeys.get(person);
    const { challenge, rpId } = options as unknown as RequestOptions;
    const assertion = { ...passkey?.assert({ challenge, rpId }, ORIGIN) };
    return desk.breakGlass.sign(id, person, assertion as never, change.until ?? until);
  }
  async function opened(change: Record<string, unknown> = {}) {
    const made = await asked(change);
    await sign(made.glass, APPROVER);
    return { ...made, glass: await sign(made.glass, SECOND) };
  }

  /** @proves law-4.break-glass */
  test('two people, neither of whom asked, open it for its minutes; each step is on record', async () => {
    const { glass, find } = await asked();
    assert.equal(find(), undefined, 'to ask opens nothing');
    await assert.rejects(sign(glass, ASKER), { code: 'break-glass.requester' });
    await assert.rejects(sign(glass, AUDITOR), { code: 'break-glass.not-signer' });
    assert.equal((await sign(glass, APPROVER)).state, 'signed');
    assert.equal(find(), undefined, 'one is not enough');
    await assert.rejects(sign(glass, APPROVER), { code: 'break-glass.same-person' });
    assert.equal((await sign(glass, SECOND)).state, 'open');
    assert.equal(find()?.subject.id, glass.id);
    await assert.rejects(sign(glass, SECOND), { code: /break-glass/ });
    const records = (await house.records()).filter(({ approval }) => approval === glass.id);
    assert.deepEqual(
      records.map(({ operation }) => operation),
      ['break-glass.request', 'break-glass.sign', 'break-glass.open'],
    );
    assert.ok(records.every(({ changes }) => changes[0]?.startsWith('BREAK-GLASS INC-1042')));
    house.pass(900_001);
    assert.equal(find(), undefined);
    await desk.expire();
    const { state, needsReview } = await desk.breakGlass.get(glass.id);
    assert.deepEqual([state, needsReview], ['over', true]);
    assert.equal((await house.records('break-glass.end')).filter(({ approval }) => approval === glass.id).length, 1);
  });

  /** @proves law-4.break-glass */
  test('it covers tier 3 of its own task and tools alone: no flow rule, no budget, nothing that may have run', async () => {
    const { find } = await opened();
    assert.ok(find());
    assert.ok(find({ arguments: { anything: true }, policyVersion: 'policy-2' }), 'policies decide each call anew');
    const others: Partial<ApprovalSubject>[] = [
      { agent: 'breaks-0' },
      { agentEpoch: 99 },
      { task: 'tsk_other' },
      { tool: 'shop/other' },
      { tool: 'shop/drop' },
      { operation: 'results/release' },
      { operation: 'tools/call at gateway x' },
      { repeats: 'act_1' },
    ];
    for (const each of others) assert.equal(find(each), undefined, JSON.stringify(each));
    for (const now of [
      { effect: 'deny' },
      { tier: 4 },
      { code: 'budget.exceeded' },
      { policies: ['gatehouse/flow#untrusted-argument'] },
    ] as Partial<Decision>[])
      assert.equal(find({}, now), undefined, JSON.stringify(now));
  });

  test('what makes no sense or is not there is refused when it is asked for', async () => {
    for (const [change, code] of [
      [{ incident: 'urgent' }, 'break-glass.incident'],
      [{ tools: ['shop/drop'] }, 'break-glass.tool'],
      [{ tools: ['shop/none'] }, 'break-glass.tool'],
      [{ task: 'tsk_none' }, 'break-glass.no-task'],
    ] as const)
      await assert.rejects(asked(change), { code }, JSON.stringify(change));
    const { glass } = await asked();
    house.pass(900_001);
    await assert.rejects(sign(glass, APPROVER), { code: 'break-glass.decided' }, 'it has lapsed');
  });

  /** @proves law-4.break-glass-signed */
  test('another time than was signed, a foreign passkey and a row that was changed by hand open nothing', async () => {
    const { glass } = await asked();
    await assert.rejects(sign(glass, APPROVER, { passkey: passkeys.get(SECOND) as SoftwarePasskey }), {
      code: 'passkey.not-verified',
    });
    await sign(glass, APPROVER);
    await assert.rejects(sign(glass, SECOND, { until: house.clock.now() + 899_000 }), { code: 'passkey.not-verified' });
    await assert.rejects(sign(glass, SECOND, { until: house.clock.now() + 3_600_000 }), { code: 'break-glass.times' });

    const { glass: open, find } = await opened();
    const kept = await house.storage.db
      .selectFrom('break_glass')
      .selectAll()
      .where('id', '=', open.id)
      .executeTakeFirstOrThrow();
    const subject = JSON.parse(kept.subject);
    const changes: Partial<typeof kept>[] = [
      ...Object.keys(subject).map((member) => ({ subject: JSON.stringify({ ...subject, [member]: 'x' }) })),
      { digest: 'x' },
      { agent: 'x' },
      { task: 'x' },
      { until: (kept.until ?? 0) + 1 },
      { first_by: SECOND },
      { second_by: APPROVER },
      { first_by: ASKER },
      { first_assertion: null },
      { second_assertion: kept.first_assertion },
      { requested_at: kept.requested_at + 1 },
      { seal: null },
    ];
    for (const change of changes) {
      await house.storage.db.updateTable('break_glass').set(change).where('id', '=', open.id).execute();
      assert.equal(find({}, {}, await approvalsOf(house)), undefined, JSON.stringify(change).slice(0, 100));
      await house.storage.db.updateTable('break_glass').set(kept).where('id', '=', open.id).execute();
    }
    assert.ok(find({}, {}, await approvalsOf(house)), 'and after a restart it is open');
  });

  test('it ends at once when it is ended, with its agent, and when a signer may sign no more', async () => {
    const first = await opened();
    await desk.breakGlass.end(first.glass.id, 'operator');
    assert.equal(first.find(), undefined);
    const guards = [{ key: fenceOf(first.glass.id), version: 0 }];
    assert.equal(
      (await house.storage.append({ guards, records: [], bodies: [] })).ok,
      false,
      'also a dispatch under way',
    );
    const second = await opened();
    await house.storage.transaction((transaction) => desk.cancelAll(transaction, { agent: second.agent }, 'operator'));
    await desk.refresh([{ sequence: 1, topic: 'approval', key: second.glass.id, at: 0 }]);
    assert.equal(second.find(), undefined);
    const third = await opened();
    await house.declare(SECOND, 'auditor');
    assert.equal(third.find(), undefined);
    await house.declare(SECOND, 'security', 'approver');
    assert.ok(third.find());
  });

  /** @proves law-4.break-glass-review */
  test('it stays in sight until somebody who neither asked nor signed has reviewed it, once it is over', async () => {
    const { glass } = await opened();
    const review = (by: string) => desk.breakGlass.review(glass.id, by, 'paid back 14 customers, needed');
    await assert.rejects(review('other@example.test'), { code: 'break-glass.not-over' });
    await desk.breakGlass.end(glass.id, `person:${APPROVER}`);
    for (const person of [APPROVER, SECOND, ASKER]) await assert.rejects(review(person), { code: 'break-glass.own' });
    assert.ok((await desk.breakGlass.list()).some(({ id, needsReview }) => id === glass.id && needsReview));
    const reviewed = await review('other@example.test');
    assert.deepEqual([reviewed.needsReview, reviewed.reviewedBy], [false, 'other@example.test']);
    await assert.rejects(review('other@example.test'), { code: 'break-glass.reviewed' });
  });

  /** @proves law-4.break-glass-bounded */
  test('a task has one at a time; switched off in its environment, an open one lets nothing more run', async () => {
    const { glass, find, task } = await opened();
    const again = { task, tools: ['shop/refund'], incident: 'INC-1043', reason: REASON, seconds: 900 };
    await assert.rejects(desk.breakGlass.request(again, `person:${ASKER}`), { code: 'break-glass.asked-already' });
    assert.equal(find()?.subject.id, glass.id);
    const environment = (breakGlass: 'off' | undefined) =>
      manifest.parse({ kind: 'Environment', name: 'prod', ...(breakGlass && { breakGlass }) });
    const set = (breakGlass: 'off' | undefined) =>
      house.registry.apply([environment(breakGlass)], { prune: false, by: 'gatehouse' });
    await set('off');
    assert.equal(find(), undefined);
    await set(undefined);
    assert.equal(find()?.subject.id, glass.id);
  });

  /** @proves law-4.break-glass-bounded */
  test('nobody asks for more than some within an hour', async () => {
    const many = async () => {
      for (let count = 0; count <= breakGlassLimits.perPersonAndHour; count++) {
        const { task } = await addAgent(house, `many-${count}`);
        const request = { task, tools: ['shop/refund'], incident: 'INC-1', reason: REASON, seconds: 900 };
        await desk.breakGlass.request(request, 'person:many@example.test');
      }
    };
    await assert.rejects(many(), { code: 'break-glass.too-many' });
  });
});
