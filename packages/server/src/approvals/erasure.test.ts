import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { addReach } from '@gatehouse/protocol/erasure-reach';
import { sql } from 'kysely';
import type { SoftwarePasskey } from '../../../sdk/src/software-passkey.ts';
import { onEachDatabase } from '../identity/people/testing/databases.ts';
import type { House } from '../identity/people/testing/house.ts';
import { yesOf } from '../identity/people/testing/second-yes.ts';
import { createKeeping, type Keeping } from '../ledger/index.ts';
import { digestJson, type Json } from '../platform/index.ts';
import { APPROVER, addAgent, approve, consume, openDesk, requestOf } from './testing/desk.ts';
import type { Approvals } from './types.ts';

const [ASKS, AGREES] = ['person:security@example.test', 'person:admin@example.test'];

onEachDatabase('erasing', (database) => {
  let house: House;
  let approvals: Approvals;
  let keeping: Keeping;
  let approver: SoftwarePasskey;
  before(async () => {
    ({ house, approvals } = await openDesk({ database: await database() }));
    keeping = createKeeping({
      ...house,
      ownLog: house.ledger.own,
      argumentsDays: null,
      clockDoubt: async () => null,
      previewMs: 0,
    });
    approver = (await house.enrol(APPROVER)).passkey;
  });
  after(() => house.close());

  async function recorded(agent: string, task: string, args: Record<string, string>): Promise<string> {
    const actionId = `act_${randomUUID()}`;
    await again(actionId, agent, task, args);
    return actionId;
  }
  async function again(actionId: string, agent: string, task: string, args?: Record<string, string>): Promise<void> {
    await house.ledger.append({
      record: {
        ...{ kind: 'request', action_id: actionId, operation: 'tools/call', agent, task, tool: 'shop/refund' },
        ...{ actor_chain: [], requested_by: null, on_behalf_of: null, intent: null, model_provider: null, model: null },
        ...{ environment: null, template: null, tool_definition: null, resource: null, decision: null, labels: [] },
        ...{ approval: null, credentials: [], ticket: null, change_request: null, result: null, changes: [] },
        detail: null,
      },
      ...(args && { arguments: args }),
    });
  }
  async function erased(agent: string) {
    const { id } = await keeping.erase({ agent }, 'they want it', ASKS);
    await keeping.agree(id, yesOf(AGREES));
    await keeping.work();
    return (await keeping.erasures()).find((each) => each.id === id);
  }
  /** Looks that each end at once. */
  async function preview(scope: { agent: string }) {
    let { cursor, ...total } = await keeping.preview(scope, undefined);
    while (cursor !== null) {
      const { cursor: next, ...more } = await keeping.preview(scope, cursor);
      [total, cursor] = [addReach(total, more), next];
    }
    return total;
  }
  const bodyOf = async (actionId: string) => (await house.ledger.action(actionId))?.arguments;

  /** Everything that stands in any table. */
  async function everything(): Promise<string> {
    const { db } = house.storage;
    const names = await sql<{ name: string }>`select name from sqlite_master where type = 'table'`
      .execute(db)
      .catch(() =>
        sql<{ name: string }>`select tablename as name from pg_tables where schemaname = current_schema()`.execute(db),
      );
    let all = '';
    for (const { name } of names.rows) {
      const { rows } = await sql`select * from ${sql.table(name)}`.execute(db);
      all += JSON.stringify(rows, (_, value) =>
        value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value,
      );
    }
    return all;
  }

  /** @proves record.erasure-preview */
  test('what is counted before is what goes, in however many looks, and no look changes anything', async () => {
    const worker = await addAgent(house, 'agent-counted');
    const ids: string[] = [];
    // More than one step of the walk takes, and each with a record far behind the first.
    for (let number = 0; number < 105; number++)
      ids.push(await recorded(worker.agent, worker.task, { n: `${number}` }));
    for (const actionId of ids) await again(actionId, worker.agent, worker.task);
    // With a salt of its own each time.
    await again(ids[2] ?? '', worker.agent, worker.task, { n: 'asked again' });
    const first = ids[0] ?? '';
    const asked = await approvals.open(requestOf({ ...worker, arguments: { n: '0' } }, { actionId: first }));
    await keeping.hold({ action: ids[1] ?? '' }, 'litigation', ASKS);
    await house.storage.db
      .insertInto('sink_positions')
      .values({ sink: 'siem', log: house.ledger.own.id, sequence: 1_000_000, reached: 0, missed: 0 })
      .execute();
    const about = new Set(
      (await house.records()).filter(({ agent }) => agent === worker.agent).map(({ action_id }) => action_id),
    );
    const { db } = house.storage;
    const kept = async () => [
      await db.selectFrom('bodies').selectAll().orderBy('action_id').orderBy('salt').execute(),
      await db.selectFrom('approvals').selectAll().orderBy('id').execute(),
      await db.selectFrom('erasures').selectAll().execute(),
      (await house.records()).length,
    ];
    const before = await kept();
    const seen = await preview({ agent: worker.agent });
    assert.deepEqual(await kept(), before);
    assert.deepEqual(
      [seen.actions, seen.held, seen.arguments, seen.approvals, seen.exported],
      [about.size, 1, 105, 1, [{ sink: 'siem', records: seen.records }]],
    );
    assert.ok(seen.records >= 208);
    const done = await erased(worker.agent);
    assert.equal(done?.erased, 105);
    assert.equal((await approvals.get(asked.id))?.state, 'pending');
    assert.equal((await preview({ agent: worker.agent })).arguments, 0);
  });

  /** @proves record.erasure-approvals */
  test('nothing of erased arguments is left in approvals and grants; what is open loses them when it ends', async () => {
    const worker = await addAgent(house, 'agent-erased');
    const [used, waits, other] = [randomUUID(), randomUUID(), randomUUID()];
    const asking = async (canary: string) => {
      const actionId = await recorded(worker.agent, worker.task, { note: canary });
      const origins = [{ name: 'note', held: [{ role: 'text', value: canary }] }];
      const request = requestOf({ ...worker, arguments: { note: canary } }, { actionId, origins: origins as never });
      return approvals.open(request);
    };
    const [first, open] = [await asking(used), await asking(waits)];
    await approve(approvals, first, APPROVER, approver);
    await consume(house, first, first.actionId);
    const { argumentsSalt } = first;
    const subject = JSON.stringify({ ...worker, tool: 'shop/refund', arguments: { note: used }, argumentsSalt });
    const times = {
      expires_at: house.clock.now() - 1,
      ended_at: null,
      ended_by: null,
      reason: null,
      erasure: null,
      seal: null,
    };
    const given = { digest: first.digest, subject, terms: '{}', given_by: APPROVER, assertion: '{}', ...times };
    const { agent, task } = worker;
    await house.storage.db
      .insertInto('standing_grants')
      .values({ id: 'grn_erased', approval: first.id, agent, task, ...given })
      .execute();
    assert.equal((await everything()).split(used).length > 3, true);

    const done = await erased(worker.agent);
    assert.equal(done?.erased, 2);
    assert.ok(!(await everything()).includes(used), 'of what is over nothing is left');
    assert.deepEqual((await approvals.get(open.id))?.arguments, { note: waits }, 'whoever decides has to see it');
    const [is] = await approvals.inspect([first.id]);
    assert.equal(is?.problem, null, 'erased is not tampered with');
    assert.equal(is?.approval.arguments, null);
    const signed = await approvals.signed(first.id);
    assert.equal(signed?.yes.length, 1, 'the signature stays');
    assert.equal(signed?.salted, null);
    assert.equal(digestJson(signed?.subject ?? null), first.digest, 'and what it is of');
    assert.ok(first.argumentsSalt && !(await everything()).includes(first.argumentsSalt));
    const guess = { ...(signed?.subject as object), arguments: { note: used } };
    const { argumentsDigest: _, ...unsalted } = guess as Record<string, Json>;
    const records = JSON.stringify(await house.records());
    for (const tried of [guess, unsalted, unsalted.arguments, { ...unsalted, v: 1 }])
      assert.ok(!records.includes(digestJson(tried as Json)), 'who guesses right has nothing to see it by');
    await approvals.deny(open.id, APPROVER, 'no');
    await keeping.work();
    assert.ok(!(await everything()).includes(waits), 'it goes when its approval is over');
    const file = join(house.dataDir, 'gatehouse.db');
    if (existsSync(file)) {
      const writer = new DatabaseSync(file);
      writer.exec('pragma wal_checkpoint(truncate)');
      writer.close();
      const bytes = readFileSync(file);
      assert.ok(!bytes.includes(used) && !bytes.includes(waits), 'nor in what the file has free');
    }

    // By hand, without an erasure of its action.
    const third = await asking(other);
    await approve(approvals, third, APPROVER, approver);
    await consume(house, third, third.actionId);
    const row = house.storage.db.updateTable('approvals').where('id', '=', third.id);
    const { body } = await house.storage.db
      .selectFrom('approvals')
      .select('body')
      .where('id', '=', third.id)
      .executeTakeFirstOrThrow();
    const kept = JSON.parse(body) as { subject: object };
    const blank = JSON.stringify({ ...kept, subject: { ...kept.subject, arguments: null } });
    await row.set({ body: blank }).execute();
    assert.match((await approvals.inspect([third.id]))[0]?.problem ?? '', /its digest is of another action/);
    await row.set({ erasure: 'done' }).execute();
    assert.match((await approvals.inspect([third.id]))[0]?.problem ?? '', /though those of its action are there/);
  });

  /** @proves record.erasure-beside */
  test('it reaches results that wait, unknown calls, messages, budgets and endorsed values; what runs on keeps its guard', async () => {
    const worker = await addAgent(house, 'agent-beside');
    const { agent, task } = worker;
    const canary = randomUUID();
    const { db } = house.storage;
    const actionId = await recorded(agent, task, { note: canary });
    const approval = await approvals.open(requestOf({ ...worker, arguments: { note: canary } }, { actionId }));
    await approve(approvals, approval, APPROVER, approver);
    await consume(house, approval, actionId);
    const at = house.clock.now();
    const until = at + 1e6;
    const tool = 'shop/refund';
    const held = { id: 'hld_beside', call_digest: 'c', approval: null, agent, task, action_id: actionId, tool };
    const size = { bytes: 1, items: 1, labels: '[]', digest: 'd', sealed: Uint8Array.of(1) };
    await db
      .insertInto('held_results')
      .values({ ...held, ...size, reason: canary, created_at: at, expires_at: until })
      .execute();
    const call = {
      agent,
      agent_epoch: 1,
      task,
      view: 'v',
      era: '2025-11-25',
      approval: null,
      action_id: actionId,
      shown: 1,
    };
    const kept = {
      sealed: Uint8Array.of(1),
      answer: Uint8Array.of(2),
      created_at: at,
      updated_at: at,
      expires_at: until,
    };
    for (const state of ['completed', 'waiting'])
      await db
        .insertInto('waiting_tasks')
        .values({ ...call, ...kept, id: `wtk_${state}`, state })
        .execute();
    const open = {
      action_id: actionId,
      call_digest: 'c',
      key_digest: null,
      log: 'l',
      agent,
      task,
      environment: 'prod',
    };
    const unknown = { tool, sent_at: at, unknown_at: at, detail: `failed: ${canary}`, resolution: null };
    await db
      .insertInto('open_calls')
      .values({ ...open, ...unknown, resolved_by: null, resolved_at: null, note: canary })
      .execute();
    const counter = { id: 'counter-beside', budget: 'b', label: `note ${canary}`, state: '{}', used: 7 };
    await db
      .insertInto('budget_counters')
      .values({ ...counter, updated_at: at, expires_at: until })
      .execute();
    const spend = { action_id: actionId, counter: counter.id, bucket: 0, count: 1, items: 0, sum: 0 };
    await db
      .insertInto('budget_spends')
      .values({ ...spend, expires_at: until })
      .execute();
    const told = {
      id: 'dlv_beside',
      channel: 'c',
      approval: approval.id,
      event: 'asked',
      recipient: 'r',
      state: 'dead',
    };
    const tries = { attempts: 1, due_at: at, created_at: at, updated_at: at, about: null, reference: null, whole: 1 };
    await db
      .insertInto('deliveries')
      .values({ ...told, ...tries, error: `no room for ${canary}` } as never)
      .execute();
    const value = { id: 'edm_beside', task, role: 'recipient', value: canary, shown: canary, covers: '' };
    await db
      .insertInto('flow_endorsements')
      .values({ ...value, approval: approval.id, person: APPROVER, at, seal: null })
      .execute();

    await erased(agent);
    const left = (await everything()).split(canary).length - 1;
    assert.equal(left, 3, 'while its task goes on: the endorsed value, twice, and the approval that it came with');
    const tasks = await db.selectFrom('waiting_tasks').select('id').where('action_id', '=', actionId).execute();
    assert.deepEqual(tasks, [{ id: 'wtk_waiting' }], 'of its MCP tasks only what still waits, which needs its call');
    const guard = await db.selectFrom('open_calls').selectAll().where('action_id', '=', actionId).executeTakeFirst();
    assert.deepEqual([guard?.call_digest, guard?.unknown_at], ['c', at], 'it still stands in the way of a repetition');
    const budget = await db.selectFrom('budget_counters').selectAll().where('id', '=', counter.id).executeTakeFirst();
    assert.equal(budget?.used, 7, 'and what was used stays used');
    await db.updateTable('tasks').set({ state: 'ended' }).where('id', '=', task).execute();
    await keeping.work();
    assert.ok(!(await everything()).includes(canary));
    const file = join(house.dataDir, 'gatehouse.db');
    if (!existsSync(file)) return;
    const writer = new DatabaseSync(file);
    writer.exec('pragma wal_checkpoint(truncate)');
    writer.close();
    assert.ok(!readFileSync(file).includes(canary), 'nor in what the file has free');
  });

  /** @proves record.erasure-bounds */
  test('it needs no index, and ends at what was there when two people agreed: also after a restore', async () => {
    const { agent, task } = await addAgent(house, 'agent-bounds');
    const before = await recorded(agent, task, { note: 'before' });
    const { id } = await keeping.erase({ agent }, 'they want it', ASKS);
    await keeping.agree(id, yesOf(AGREES));
    const later = await recorded(agent, task, { note: 'later' });
    await keeping.work();
    assert.equal((await keeping.erasures()).find((each) => each.id === id)?.state, 'done');
    assert.equal(await bodyOf(before), null);
    assert.deepEqual(await bodyOf(later), { note: 'later' });
    await house.storage.db
      .updateTable('erasures')
      .set({ state: 'running', reached: null, ended_at: null })
      .where('id', '=', id)
      .execute();
    await keeping.work();
    assert.deepEqual(await bodyOf(later), { note: 'later' }, 'two people agreed to what there was');
  });

  /** @proves record.erasure-agreed */
  test('what two people have not agreed to erases nothing, and ends no hold, whatever stands in the rows', async () => {
    const { db } = house.storage;
    const [agreed, other] = [`agent-${randomUUID()}`, `agent-${randomUUID()}`];
    const [one, two] = [await recorded(agreed, 'tsk_1', { x: '1' }), await recorded(other, 'tsk_2', { x: '2' })];
    const set = (id: string, to: object) => db.updateTable('erasures').set(to).where('id', '=', id).execute();
    const about = async (id: string) =>
      (await house.records('seal.broken')).filter(({ action_id }) => action_id === id).length;
    const stateOf = async (id: string) => (await keeping.erasures()).find((each) => each.id === id)?.state;
    const turns = async () => {
      await keeping.work();
      await keeping.work();
    };
    const asked = async () => (await keeping.erase({ agent: agreed }, 'they want it', ASKS)).id;
    const id = await asked();
    await keeping.agree(id, yesOf(AGREES));
    const row = await db.selectFrom('erasures').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
    const wide = JSON.stringify({ [house.ledger.own.id]: 1e9 });
    for (const to of [
      { scope: JSON.stringify({ agent: other }) },
      { bounds: wide },
      { bounds: null },
      { agreed_by: ASKS },
      { agreed_seal: null },
      { agreed_seal: row.seal },
      { scope: 'nothing' },
    ]) {
      const before = await about(id);
      await set(id, { ...row, ...to });
      await turns();
      assert.deepEqual([await bodyOf(one), await bodyOf(two)], [{ x: '1' }, { x: '2' }], JSON.stringify(to));
      assert.equal(await about(id), before + 1, 'on record, once');
      const left = await db.selectFrom('erasures').select('state').where('id', '=', id).executeTakeFirst();
      assert.equal(left?.state, 'waiting');
    }
    await set(id, { ...row, state: 'rejected' });
    const second = await asked();
    const unasked = { state: 'running', agreed_by: AGREES, agreed_at: 1, bounds: wide };
    for (const agreed_seal of [null, row.agreed_seal]) {
      await set(second, { ...unasked, agreed_seal });
      await turns();
    }
    assert.deepEqual([await stateOf(second), await about(second)], ['waiting', 2], 'nobody’s yes, nor that to another');
    assert.deepEqual(await bodyOf(one), { x: '1' });

    const hold = await keeping.hold({ agent: agreed }, 'litigation', ASKS);
    const end = { end_asked_by: ASKS, end_asked_at: 1, ended_by: AGREES, ended_at: 2 };
    await db.updateTable('holds').set(end).where('id', '=', hold.id).execute();
    assert.equal((await keeping.preview({ agent: agreed }, undefined)).held, 1);
    await keeping.agree(second, yesOf(AGREES));
    await turns();
    assert.deepEqual(await bodyOf(one), { x: '1' });
    assert.equal((await keeping.holds()).find((each) => each.id === hold.id)?.endedAt, null, 'it holds again');
    assert.equal(await about(hold.id), 1);

    await keeping.askEnd(hold.id, ASKS);
    await keeping.agreeEnd(hold.id, yesOf(AGREES));
    // One that ended before ends had a seal.
    await db.updateTable('holds').set({ ended_seal: null }).where('id', '=', hold.id).execute();
    assert.equal((await keeping.preview({ agent: agreed }, undefined)).held, 1, 'until it is seen on record');
    await turns();
    assert.equal((await keeping.preview({ agent: agreed }, undefined)).held, 1, 'and the record was signed');
    await house.ledger.checkpoint();
    await turns();
    const isHeld = async () => (await keeping.preview({ agent: agreed }, undefined)).held;
    assert.deepEqual([await isHeld(), await about(hold.id)], [0, 1]);
    const third = await asked();
    await keeping.agree(third, yesOf(AGREES));
    await turns();
    assert.deepEqual([await bodyOf(one), await bodyOf(two)], [null, { x: '2' }]);
  });

  /** @proves record.erasure-people */
  test('of what the host’s token asks for, one person is not enough', async () => {
    const { agent, task } = await addAgent(house, 'agent-people');
    const action = await recorded(agent, task, { note: 'kept' });
    const hold = await keeping.hold({ action }, 'litigation', ASKS);
    await keeping.askEnd(hold.id, 'operator');
    assert.equal((await keeping.agreeEnd(hold.id, yesOf(AGREES))).endedAt, null);
    await assert.rejects(keeping.agreeEnd(hold.id, yesOf(AGREES)), /somebody else/);
    assert.notEqual((await keeping.agreeEnd(hold.id, yesOf(ASKS))).endedAt, null);
    const { id } = await keeping.erase({ action }, 'they want it', 'operator');
    assert.equal((await keeping.agree(id, yesOf(AGREES))).state, 'waiting');
    await assert.rejects(keeping.agree(id, yesOf(AGREES)), /somebody else/);
    await keeping.work();
    assert.deepEqual(await bodyOf(action), { note: 'kept' });
    await keeping.agree(id, yesOf(ASKS));
    await keeping.work();
    assert.equal(await bodyOf(action), null);
  });
});
