import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onEachDatabase } from '../../identity/people/testing/databases.ts';
import { openExportHouse, until } from './testing/house.ts';
import { type Behaviour, idsOf, openReceiver } from './testing/receiver.ts';

const ok: Behaviour = (_, answer) => answer.writeHead(200).end();

const toWebhook = (name: string, url: string, more: object = {}) => ({
  name,
  format: 'json-lines' as const,
  to: { type: 'webhook' as const, url, secret: 'hook' },
  allowPrivateAddress: true,
  batchRecords: 50,
  timeoutMs: 1_000,
  ...more,
});

onEachDatabase('delivery to sinks', (database) => {
  /** @proves export.delivered */
  test('a new sink gets what was recorded since it was applied, one from the beginning everything, once and in order', async (context) => {
    const house = await openExportHouse({ database: await database() });
    const [late, early] = [await openReceiver(), await openReceiver()];
    context.after(() => Promise.all([house.close(), late.close(), early.close()]));
    await house.act(30);
    house.pass(1_000);
    await house.apply(toWebhook('late', late.url), toWebhook('early', early.url, { from: 'beginning' }));
    await house.act(120);
    await until(() => idsOf(early.taken).length >= 150 && idsOf(late.taken).length >= 120);
    await until(async () => (await house.sinks.list()).every(({ backlog }) => backlog === 0));
    const ids = idsOf(early.taken);
    const sequences = ids.map((id) => Number(id.split('/').at(-1)));
    assert.deepEqual(
      sequences,
      [...sequences].sort((a, b) => a - b),
    );
    assert.equal(sequences[0], 0);
    assert.equal(new Set(ids).size, ids.length);
    assert.ok(idsOf(late.taken).every((id) => ids.includes(id)));
    assert.ok(!late.taken.some(({ body }) => body.toString().includes('"sequence":0,')));
    const { state, replica, lastDeliveredAt } = await house.sinks.show('early');
    assert.equal(state, 'delivering');
    assert.equal(replica, 'replica-a');
    assert.ok(lastDeliveredAt !== null);
  });

  /** @proves export.apart */
  test('one that hangs, drips, answers 500 or closes keeps neither another nor the gate waiting, says so, and gets everything later', async (context) => {
    const house = await openExportHouse({ database: await database() });
    const bad = await Promise.all([
      openReceiver(() => {}),
      openReceiver((_, answer) => answer.writeHead(500).end('out of order')),
      openReceiver((_, answer) => answer.destroy()),
      openReceiver((_, answer) => {
        answer.writeHead(200);
        const drip = setInterval(() => answer.write(' '), 100);
        answer.on('close', () => clearInterval(drip));
      }),
    ]);
    const good = await openReceiver();
    context.after(() => Promise.all([house.close(), good.close(), ...bad.map((each) => each.close())]));
    await house.apply(...bad.map(({ url }, at) => toWebhook(`bad-${at}`, url)), toWebhook('good', good.url));
    await house.act(100);
    await until(() => idsOf(good.taken).length >= 100);
    await until(
      async () => (await house.sinks.list()).filter(({ state }) => state === 'failing').length === bad.length,
    );
    const listed = new Map((await house.sinks.list()).map((sink) => [sink.name, sink]));
    assert.match(listed.get('bad-0')?.problem ?? '', /no answer within 1000 ms/);
    assert.match(listed.get('bad-3')?.problem ?? '', /no answer within 1000 ms/);
    assert.match(listed.get('bad-1')?.problem ?? '', /answered 500: out of order/);
    assert.ok((listed.get('bad-2')?.backlog ?? 0) >= 100);
    assert.ok((listed.get('bad-0')?.nextTryAt ?? 0) > 0);
    for (const each of bad) each.behave = ok;
    await until(() => bad.every(({ taken }) => new Set(idsOf(taken)).size >= 100), 30_000);
    await until(async () =>
      (await house.sinks.list()).every(({ state, backlog }) => state === 'delivering' && backlog === 0),
    );
  });

  /** @proves export.poison */
  test('a record that is refused for good is set aside, in sight, and the others arrive; replayed, it arrives as well', async (context) => {
    const house = await openExportHouse({ database: await database() });
    const receiver = await openReceiver((request, answer) =>
      answer.writeHead(request.body.includes('poison') ? 400 : 200).end('what is poison?'),
    );
    context.after(() => Promise.all([house.close(), receiver.close()]));
    await house.apply(toWebhook('hook', receiver.url, { filter: { operations: ['tools/*'] } }));
    await house.act(70);
    await house.act(1, { intent: 'poison' });
    await house.act(70);
    await until(async () => (await house.sinks.show('hook')).backlog === 0);
    const { quarantine, quarantined } = await house.sinks.show('hook');
    assert.equal(quarantined, 1);
    assert.match(quarantine[0]?.reason ?? '', /400: what is poison/);
    assert.ok(house.warnings.some(({ message }) => message.includes('refuses records for good')));
    const arrived = () => new Set(idsOf(receiver.taken).filter((id) => !id.includes('/sink-test/')));
    assert.equal(arrived().size, 140);

    receiver.behave = ok;
    const [aside] = quarantine;
    assert.ok(aside);
    await house.sinks.replay('hook', { log: aside.log, sequence: aside.sequence }, 'person:sam@example.test');
    await until(() => arrived().size === 141);
    assert.equal((await house.sinks.show('hook')).quarantined, 0);
    const [replayed] = await house.records('sink.replay');
    assert.equal(replayed?.actor_chain[0]?.sub, 'person:sam@example.test');
  });

  /** @proves export.poison */
  test('an entry that somebody has made unreadable is set aside, and keeps back no other', async (context) => {
    const house = await openExportHouse({ database: await database() });
    const receiver = await openReceiver();
    context.after(() => Promise.all([house.close(), receiver.close()]));
    await house.act(3);
    await house.storage.transaction((transaction) =>
      transaction.updateTable('records').set({ entry: '' }).where('sequence', '=', 1).execute(),
    );
    await house.apply(toWebhook('hook', receiver.url, { from: 'beginning' }));
    await until(async () => (await house.sinks.show('hook')).backlog === 0);
    const { quarantine } = await house.sinks.show('hook');
    assert.deepEqual(
      quarantine.map(({ sequence }) => sequence),
      [1],
    );
    assert.match(quarantine[0]?.reason ?? '', /not as it was written/);
  });

  /** @proves export.missed */
  test('what retention removed before it was sent is counted once and warned of; a replay counts nothing that had arrived', async (context) => {
    const house = await openExportHouse({ database: await database() });
    const receiver = await openReceiver((_, answer) => answer.writeHead(500).end('down'));
    context.after(() => Promise.all([house.close(), receiver.close()]));
    const remove = (sequences: number[]) =>
      house.storage.transaction((transaction) =>
        transaction
          .updateTable('records')
          .set({ entry: '', kind: 'removed' })
          .where('sequence', 'in', sequences)
          .execute(),
      );
    await house.act(5);
    await remove([0]);
    house.pass(1_000);
    await house.apply(toWebhook('hook', receiver.url, { from: 'beginning' }));
    await house.act(20);
    await until(async () => (await house.sinks.show('hook')).state === 'failing');
    const [{ size = 0 } = {}] = (await house.sinks.show('hook')).positions;
    await remove([size - 2, size - 1]);
    receiver.behave = ok;
    await house.sinks.pause('hook', 'person:sam@example.test');
    await house.sinks.resume('hook', 'person:sam@example.test');
    const settled = () => until(async () => (await house.sinks.show('hook')).backlog === 0);
    await settled();
    const { missed, quarantined } = await house.sinks.show('hook');
    assert.deepEqual([missed, quarantined], [2, 0], 'what was gone before it was applied was never to be sent');
    assert.ok(house.warnings.some(({ message }) => message.includes('removed records before they were sent')));
    await remove([3, 4]);
    const [{ log = '' } = {}] = (await house.sinks.show('hook')).positions;
    await house.sinks.replay('hook', { log, sequence: 0 }, 'person:sam@example.test');
    await settled();
    assert.equal((await house.sinks.show('hook')).missed, 2);
  });

  test('one that refuses everything has nothing set aside: it is tried again', async (context) => {
    const house = await openExportHouse({ database: await database() });
    const receiver = await openReceiver((_, answer) => answer.writeHead(400).end('no such index'));
    context.after(() => Promise.all([house.close(), receiver.close()]));
    await house.apply(toWebhook('hook', receiver.url));
    await house.act(20);
    await until(async () => (await house.sinks.show('hook')).state === 'failing');
    const { quarantined, problem, backlog } = await house.sinks.show('hook');
    assert.equal(quarantined, 0);
    assert.match(problem ?? '', /refuses everything: it answered 400: no such index/);
    assert.ok(backlog >= 20);
    receiver.behave = ok;
    await until(async () => (await house.sinks.show('hook')).backlog === 0);
    assert.equal((await house.sinks.show('hook')).quarantined, 0);
  });

  /** @proves export.paused */
  test('paused, it gets nothing and loses nothing; who paused and resumed it is on record', async (context) => {
    const house = await openExportHouse({ database: await database() });
    const receiver = await openReceiver();
    context.after(() => Promise.all([house.close(), receiver.close()]));
    await house.apply(toWebhook('hook', receiver.url));
    await house.act(10);
    await until(async () => idsOf(receiver.taken).length >= 10 && (await house.sinks.show('hook')).backlog === 0);
    assert.equal((await house.sinks.pause('hook', 'person:sam@example.test')).state, 'paused');
    await house.act(10);
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    const { backlog, paused } = await house.sinks.show('hook');
    assert.ok(backlog >= 10);
    assert.equal(paused?.by, 'person:sam@example.test');
    await house.sinks.resume('hook', 'person:sam@example.test');
    await until(async () => (await house.sinks.show('hook')).backlog === 0);
    const operations = (await house.records()).map(({ operation }) => operation);
    assert.ok(operations.includes('sink.pause') && operations.includes('sink.resume'));
  });

  /** @proves export.filtered */
  test('a filter leaves out what does not fit; arguments go out only where that is said, and credentials never', async (context) => {
    const house = await openExportHouse({ database: await database() });
    const [plain, full] = [await openReceiver(), await openReceiver()];
    context.after(() => Promise.all([house.close(), plain.close(), full.close()]));
    const only = { filter: { decisions: ['deny' as const] } };
    await house.apply(
      toWebhook('plain', plain.url, only),
      toWebhook('full', full.url, { ...only, bodies: 'arguments' as const }),
    );
    await house.act(5);
    const denied = {
      effect: 'deny' as const,
      tier: 3 as const,
      code: 'x',
      reason: 'no',
      policies: [],
      policyVersion: 'v',
    };
    const record = { ...(await import('./testing/records.ts')).recordOf({ kind: 'request', decision: denied }) };
    const { v: _v, time: _t, replica: _r, arguments_digest: _a, result_digest: _d, ...input } = record;
    // Its tool is not known here: nobody could say which of them are credentials.
    await house.ledger.append({ record: input, arguments: { token: 'canary-argument' } });
    await until(async () => (await house.sinks.list()).every(({ backlog }) => backlog === 0));
    for (const { taken } of [plain, full]) {
      assert.equal(idsOf(taken).length, 1);
      assert.ok(!taken.some(({ body }) => body.includes('canary-argument')));
    }
  });
});
