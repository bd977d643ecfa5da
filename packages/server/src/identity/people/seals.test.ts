import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  createSoftwarePasskey,
  type RequestOptions,
  type SoftwarePasskey,
} from '../../../../sdk/src/software-passkey.ts';
import { sha256Hex } from '../../platform/index.ts';
import { sealPasskeysOfBefore } from './seals.ts';
import { onEachDatabase } from './testing/databases.ts';
import { cookieOf, type House, ORIGIN, openHouse } from './testing/house.ts';
import type { SignedInPerson } from './types.ts';

const [ADA, EVE] = ['ada@example.test', 'eve@example.test'];
const CHALLENGE = new Uint8Array(32).fill(1);

onEachDatabase('what lets people in', (database) => {
  let house: House;
  let passkey: SoftwarePasskey;
  let eve: { passkey: SoftwarePasskey; person: SignedInPerson; cookie: string };
  before(async () => {
    house = await openHouse({ database: await database() });
    await house.declare(ADA, 'approver', 'admin');
    await house.declare(EVE, 'developer');
    passkey = (await house.enrol(ADA)).passkey;
    eve = await house.enrol(EVE);
  });
  after(() => house.close());

  async function proves(person: string, by: SoftwarePasskey): Promise<void> {
    const options = (await house.people.assertionOptions(person, CHALLENGE)) as unknown as RequestOptions;
    const verified = await house.people.verifyAssertion(person, CHALLENGE, { ...by.assert(options, ORIGIN) });
    await house.storage.transaction((transaction) => house.people.useAssertion(transaction, verified));
  }
  const keysOf = (person: string) =>
    house.storage.db.selectFrom('passkeys').selectAll().where('person', '=', person).executeTakeFirstOrThrow();
  const set = (id: string, change: object) =>
    house.storage.db.updateTable('passkeys').set(change).where('id', '=', id).execute();

  /** @proves people.sealed */
  test('a passkey that was written into the database makes nobody an approver', async () => {
    await proves(ADA, passkey);
    await proves(EVE, eve.passkey);
    const { db } = house.storage;
    const own = await keysOf(EVE);
    const hers = await keysOf(ADA);
    // Given to somebody else, with her seal or her public key, or without any.
    for (const change of [{ person: ADA }, { person: ADA, seal: hers.seal }, { person: ADA, seal: null }]) {
      await set(own.id, change);
      await assert.rejects(proves(ADA, eve.passkey), { code: 'passkey.changed' }, JSON.stringify(Object.keys(change)));
      await assert.rejects(house.signIn(eve.passkey), { code: 'passkey.changed' });
      await set(own.id, { person: EVE, seal: own.seal });
    }
    await set(hers.id, { public_key: own.public_key });
    await assert.rejects(proves(ADA, passkey), { code: 'passkey.changed' });
    await set(hers.id, { public_key: hers.public_key });
    for (const change of [
      { made_by: `person:${EVE}` },
      { confirmed_by: `person:${EVE}` },
      { created_at: 1 },
      { counter: 9 },
    ]) {
      await set(hers.id, change);
      await assert.rejects(proves(ADA, passkey), { code: 'passkey.changed' }, JSON.stringify(change));
      const { made_by, confirmed_by, created_at, counter } = hers;
      await set(hers.id, { made_by, confirmed_by, created_at, counter });
    }
    const written = { ...own, id: 'written', person: ADA };
    await db.insertInto('passkeys').values(written).execute();
    const options = (await house.people.assertionOptions(ADA, CHALLENGE)) as unknown as RequestOptions;
    const assertion = {
      ...eve.passkey.assert({ ...options, allowCredentials: [] }, ORIGIN),
      id: 'written',
      rawId: 'written',
    };
    await assert.rejects(house.people.verifyAssertion(ADA, CHALLENGE, assertion), { code: 'passkey.changed' });
    await db.deleteFrom('passkeys').where('id', '=', 'written').execute();
    await set(hers.id, { name: 'Key on the ring' });
    await proves(ADA, passkey);
    await proves(EVE, eve.passkey);
  });

  /** @proves people.sealed */
  test('one that counts is sealed anew with each use, and an older count does not come back', async () => {
    await house.declare('bob@example.test', 'approver');
    const bob = await house.enrol('bob@example.test', { counter: 'count' });
    const row = await keysOf('bob@example.test');
    await proves('bob@example.test', bob.passkey);
    await proves('bob@example.test', bob.passkey);
    const later = await keysOf('bob@example.test');
    await set(row.id, { counter: row.counter - 1 });
    await assert.rejects(proves('bob@example.test', bob.passkey), { code: 'passkey.changed' });
    await set(row.id, { counter: later.counter });
    await proves('bob@example.test', bob.passkey);
  });

  /** @proves people.sealed */
  test('a session or link that was written into the database opens nothing', async () => {
    const { db } = house.storage;
    const cookie = cookieOf(await house.signIn(eve.passkey));
    const { session } = await house.people.authenticatePerson({ cookie });
    const of = (change: object) =>
      db.updateTable('people_sessions').set(change).where('id_digest', '=', session).execute();
    const row = await db
      .selectFrom('people_sessions')
      .selectAll()
      .where('id_digest', '=', session)
      .executeTakeFirstOrThrow();
    for (const change of [
      { person: ADA },
      { via: 'recovery' },
      { expires_at: row.expires_at + 1e9 },
      { created_at: row.created_at + 1 },
      { made_by: 'operator' },
      { approval: 'apr_1' },
    ]) {
      await of(change);
      const enrolling = { enrolling: true };
      await assert.rejects(house.people.authenticatePerson({ cookie }, enrolling), { code: 'session.changed' });
      await of(row);
    }
    await of({ last_seen_at: row.last_seen_at - 1, user_agent: 'another' });
    assert.equal((await house.people.authenticatePerson({ cookie })).email, EVE);
    await of({ seal: null });
    await assert.rejects(house.people.authenticatePerson({ cookie }), { code: 'session.none' });

    const token = `recover_${'a'.repeat(43)}`;
    const link = { token_digest: sha256Hex(token), person: ADA, expires_at: house.clock.now() + 1e6 };
    await db
      .insertInto('signin_links')
      .values({ ...link, used_at: null, made_by: `person:${EVE}`, seal: null })
      .execute();
    await assert.rejects(house.openLink(token), { code: 'signin-link.changed' });
    const made = await house.people.createSigninLink(EVE, { by: 'gatehouse', recovery: true });
    await db.updateTable('signin_links').set({ person: ADA }).where('person', '=', EVE).execute();
    await assert.rejects(house.openLink(made.token), { code: 'signin-link.changed' });
  });

  /** @proves people.sealed-once */
  test('passkeys of before are sealed once, by name in the record, and never again', async () => {
    const { db } = house.storage;
    const hers = await keysOf(ADA);
    const due = () => db.insertInto('meta').values({ key: 'seal:passkeys', value: 'due' }).execute();
    await set(hers.id, { seal: null });
    await due();
    await sealPasskeysOfBefore(house);
    await proves(ADA, passkey);
    const sealed = [[`passkey ${hers.id.slice(0, 12)} of ${ADA} sealed`]];
    const said = async (operation: string) => (await house.records(operation)).map(({ changes }) => changes);
    assert.deepEqual(await said('passkey.seal'), sealed);
    await set(hers.id, { seal: null });
    const asks = [
      () => Promise.resolve(),
      due,
      // Without the mark that it was done the record says so.
      async () => {
        await db.deleteFrom('meta').where('key', '=', 'sealed:passkeys').execute();
        await db.updateTable('records').set({ kind: 'decision', operation: 'tools/call' }).execute();
        await due();
      },
    ];
    for (const [times, ask] of asks.entries()) {
      await ask();
      await sealPasskeysOfBefore(house);
      await sealPasskeysOfBefore(house);
      await assert.rejects(proves(ADA, passkey), { code: 'passkey.changed' });
      assert.equal((await said('seal.refuse')).length, times, 'and that somebody asked is on record');
    }
    assert.deepEqual(await said('passkey.seal'), sealed);
  });

  /** @proves people.sealed-once */
  test('where no passkeys of before were, none is sealed later', async (t) => {
    const fresh = await openHouse({ database: await database() });
    t.after(() => fresh.close());
    await Promise.all([sealPasskeysOfBefore(fresh), sealPasskeysOfBefore(fresh)]);
    const said = async () => (await fresh.records('passkey.seal')).map(({ changes }) => changes);
    assert.deepEqual(await said(), [['no passkeys were there to be sealed']]);
    await fresh.declare(EVE, 'approver');
    await fresh.enrol(EVE);
    const { db } = fresh.storage;
    await db.updateTable('passkeys').set({ seal: null }).execute();
    await db.deleteFrom('meta').where('key', '=', 'sealed:passkeys').execute();
    await db.insertInto('meta').values({ key: 'seal:passkeys', value: 'due' }).execute();
    await sealPasskeysOfBefore(fresh);
    assert.equal((await said()).length, 1);
    assert.deepEqual(await db.selectFrom('passkeys').select('seal').execute(), [{ seal: null }]);
  });

  /** @proves people.sealed-doubt */
  test('a passkey that a link of somebody else led to is taken out of doubt by no edit of the database', async () => {
    const [MAL, BOB, SEC] = ['mal@example.test', 'bo@example.test', 'sec@example.test'];
    for (const [email, role] of [
      [MAL, 'admin'],
      [BOB, 'approver'],
      [SEC, 'admin'],
    ] as const)
      await house.declare(email, role);
    await house.enrol(MAL);
    await house.enrol(SEC);
    const made = await house.people.createSigninLink(BOB, { by: `person:${MAL}` });
    const first = createSoftwarePasskey();
    const { session } = await house.addPasskey((await house.openLink(made.token)).person, first);
    const ofMal = (await keysOf(MAL)).id;
    const row = await keysOf(BOB);
    const beside = (person: string, passkey: string | undefined, other: string) =>
      house.storage.transaction((transaction) =>
        house.people.requireSecondPerson(transaction, {
          person,
          ...(passkey !== undefined && { passkey }),
          wants: (email) => email === other,
        }),
      );
    const asMal = () => beside(MAL, ofMal, BOB);
    const asBob = () => beside(BOB, row.id, MAL);
    const inChannel = () => beside(MAL, undefined, BOB);
    for (const ask of [asMal, asBob, inChannel]) await assert.rejects(ask(), { code: 'passkey.no-second-person' });
    const adds = () => house.addPasskey(session.person, createSoftwarePasskey());
    for (const change of [
      { made_by: null },
      { made_by: `person:${SEC}` },
      { confirmed_by: `person:${SEC}` },
      { created_at: 1 },
    ]) {
      await set(row.id, change);
      for (const ask of [asMal, asBob, inChannel, adds, () => house.people.confirmPasskeys(BOB, SEC)])
        await assert.rejects(ask(), { code: 'passkey.changed' }, JSON.stringify([change, String(ask)]));
      const { made_by, confirmed_by, created_at } = row;
      await set(row.id, { made_by, confirmed_by, created_at });
    }
    await house.storage.db.deleteFrom('passkeys').where('id', '=', row.id).execute();
    await assert.rejects(adds(), { code: 'passkey.gone' });
    await house.storage.db.insertInto('passkeys').values(row).execute();
    const second = (await adds()).passkey;
    await assert.rejects(beside(BOB, second.id, MAL), { code: 'passkey.no-second-person' });
    await house.people.confirmPasskeys(BOB, SEC);
    await beside(BOB, second.id, MAL);
  });
});
