import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Approval, ChannelManifest } from '@gatehouse/protocol';
import { onEachDatabase } from '../../identity/people/testing/databases.ts';
import { addAgent, OWNER, openDesk, requestOf } from '../testing/desk.ts';
import { createDevice, deviceCode } from './device.ts';
import type { DeliveryRow } from './outbox.ts';
import { lookId, sealLook, sealTold, wasShown } from './told.ts';

const of = { approval: 'apr_1', digest: 'sha256-1', channel: 'ciba', person: 'ada@example.test' };

onEachDatabase('what people were shown', (database) => {
  /** @proves channel.seen, channel.ciba */
  test('a message or a look that was written, moved or changed in the database shows nothing to anybody', async (context) => {
    const { house } = await openDesk({ database: await database() });
    context.after(() => house.close());
    const { storage, sealer } = house;
    const told = { id: 'dlv_1', channel: of.channel, approval: of.approval, recipient: of.person, reference: 'r' };
    const kept = { event: 'asked', state: 'sent', attempts: 1, due_at: 0, created_at: 0, updated_at: 0, about: null };
    const row = (whole: number): DeliveryRow => ({
      ...{ ...told, ...kept, whole, error: null, looked_at: 0, open_at: null },
      seal: sealTold(sealer, { ...told, whole }, of.digest),
    });
    const look = {
      id: lookId(of.approval, of.person),
      approval: of.approval,
      person: of.person,
      digest: of.digest,
      at: 10,
    };
    const sealed = { ...look, expires_at: 99, seal: sealLook(sealer, look, of.channel) };
    const shown = (delivery: DeliveryRow | null, looked: typeof sealed | null, asked = of) =>
      storage.transaction(async (transaction) => {
        await transaction.deleteFrom('deliveries').execute();
        await transaction.deleteFrom('approval_looks').execute();
        if (delivery) await transaction.insertInto('deliveries').values(delivery).execute();
        if (looked) await transaction.insertInto('approval_looks').values(looked).execute();
        return wasShown(transaction, asked, sealer);
      });
    assert.ok(await shown(row(1), null), 'all of it stood in the message');
    assert.ok(await shown(row(0), sealed), 'they looked, and nobody had answered yet');
    const forged = { ...sealed, seal: sealLook(sealer, { ...look, at: 9 }, of.channel) };
    const other = { ...look, person: 'eve@example.test', id: lookId(of.approval, 'eve@example.test') };
    const cases: [string, DeliveryRow | null, typeof sealed | null, typeof of?][] = [
      ['nobody was told', null, sealed],
      ['nobody looked', row(0), null],
      ['said to have been whole', { ...row(0), whole: 1 }, null],
      ['without a seal', { ...row(1), seal: null }, null],
      ['of another action', row(1), null, { ...of, digest: 'sha256-2' }],
      ['of another message', { ...row(1), id: 'dlv_2' }, null],
      ['open in another channel', row(0), { ...sealed, seal: sealLook(sealer, look, 'another') }],
      ['a look with another time', row(0), forged],
      ['a look without a seal', row(0), { ...sealed, seal: null as never }],
      ['a look of somebody else', row(0), { ...sealed, seal: sealLook(sealer, other, of.channel) }],
      ['a look at another action', row(0), { ...sealed, digest: 'sha256-2' }],
      ['somebody else who confirms', row(0), sealed, { ...of, person: 'eve@example.test' }],
    ];
    for (const [what, delivery, looked, asked] of cases)
      assert.equal(await shown(delivery, looked, asked), false, what);
  });

  /** @proves channel.ciba */
  test('only what the place says to this very look counts: not what the database says of it, and by no clock', async (context) => {
    const { house, approvals } = await openDesk({ database: await database() });
    context.after(() => house.close());
    const { storage, sealer } = house;
    const { id, digest } = await approvals.open(requestOf(await addAgent(house)));
    const expected = { approval: id, digest, channel: 'ciba', person: OWNER };
    const told = { id: 'dlv_1', channel: 'ciba', approval: id, recipient: OWNER, reference: 'r', whole: 0 };
    const kept = { event: 'asked', state: 'sent', attempts: 1, due_at: 0, created_at: 0, updated_at: 0, about: null };
    await storage.transaction((transaction) =>
      transaction
        .insertInto('deliveries')
        .values({ ...told, ...kept, error: null, looked_at: 0, open_at: null, seal: sealTold(sealer, told, digest) })
        .execute(),
    );
    const channel = { name: 'ciba', ciba: { counts: true }, people: { o: OWNER } } as unknown as ChannelManifest;
    let clockIsAhead = 0;
    let isOpen = false;
    const device = createDevice({
      ...house,
      clock: { now: () => house.clock.now() + clockIsAhead },
      channels: () => new Map([['ciba', channel]]),
      async approval() {
        const found = (await approvals.get(id)) as Approval;
        return { ...found, rules: [{ accept: ['channel:ciba'] }] } as unknown as Approval;
      },
      async ask() {
        return isOpen;
      },
    });
    const shown = () => storage.transaction((transaction) => wasShown(transaction, expected, sealer));
    // Who writes to the database says that it was open later than they will look.
    await storage.db.updateTable('deliveries').set({ open_at: Number.MAX_SAFE_INTEGER }).execute();
    await assert.rejects(device.look(id, OWNER, digest), { code: 'approval.device-not-waiting' });
    assert.equal(await shown(), false);
    // Another replica's clock is behind.
    await storage.db.updateTable('deliveries').set({ open_at: null }).execute();
    isOpen = true;
    clockIsAhead = 60_000;
    assert.equal((await device.look(id, OWNER, digest)).code, deviceCode(id, digest));
    assert.equal(await shown(), true);
    isOpen = false;
    assert.equal((await device.look(id, OWNER, digest)).code, deviceCode(id, digest), 'it has been looked at');
    assert.equal((await house.records('approval.look')).length, 1);
  });
});
