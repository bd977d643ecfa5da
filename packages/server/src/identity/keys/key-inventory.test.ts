import assert from 'node:assert/strict';
import { test } from 'node:test';
import { signingKeyPurposes } from '../../storage/index.ts';
import { createAgentClient } from '../testing/agent-client.ts';
import { type House, openHouse } from '../testing/house.ts';
import { accessTokenKeys, createKeyInventory } from './key-inventory.ts';
import { openSigningKeys } from './signing-keys.ts';

const DAY_MS = 86_400_000;
const inventoryOf = (house: House) => house.identity.keyInventory;

async function withAgent(run: (house: House, client: Awaited<ReturnType<typeof createAgentClient>>) => Promise<void>) {
  const house = await openHouse();
  try {
    await house.furnish();
    await run(house, await createAgentClient(house, await house.enrol('agent-support-prod')));
  } finally {
    await house.close();
  }
}

/** @proves keys.rotation */
test('a signing key of a month makes way for the next by itself, and no token is refused over it', () =>
  withAgent(async (house, client) => {
    const { keys } = house.identity;
    const first = keys.signer().kid;
    await inventoryOf(house).rotateDue(house.clock.now());
    assert.deepEqual(
      keys.list().map(({ kid }) => kid),
      [first],
      'it is too young',
    );

    house.pass(31 * DAY_MS);
    await house.settled();
    const { access_token: inFlight } = await client.startTask();
    await inventoryOf(house).rotateDue(house.clock.now());
    await inventoryOf(house).rotateDue(house.clock.now());
    assert.deepEqual(
      keys.list().map(({ state }) => state),
      ['signing', 'next'],
    );
    house.pass(11 * 60_000);
    await house.settled();
    assert.notEqual(keys.signer().kid, first);
    assert.equal((await client.introspect(inFlight)).active, true, 'a token of the old key');
    const { access_token } = await client.startTask();
    assert.equal((await client.introspect(access_token)).active, true, 'a token of the new key');
  }));

test('of replicas that find the same key old at once, one makes the next', () =>
  withAgent(async (house) => {
    const dependencies = { ...house, keyMaxAgeMs: DAY_MS };
    const replicas = await Promise.all(Array.from({ length: 4 }, () => openSigningKeys(dependencies)));
    house.pass(2 * DAY_MS);
    await Promise.all(
      replicas.map((keys) =>
        createKeyInventory({ all: [accessTokenKeys(keys)], storage: house.storage, log: house.log }).rotateDue(
          house.clock.now(),
        ),
      ),
    );
    await Promise.all(replicas.map((keys) => keys.refresh()));
    for (const keys of replicas) assert.equal(keys.list().length, 2);
  }));

test('the configured age is that of JWT-SVID keys too, and the inventory says so', async () => {
  const house = await openHouse({ keyMaxAgeMs: DAY_MS });
  try {
    await house.identity.trustDomain.view();
    const jwt = async () => (await inventoryOf(house).list()).find(({ purpose }) => purpose === 'jwt-svid');
    const [first] = (await jwt())?.keys ?? [];
    assert.equal((await jwt())?.nextRotation, (first?.createdAt ?? 0) + DAY_MS);
    house.pass(DAY_MS + 1);
    await house.settled();
    await house.identity.trustDomain.tick();
    assert.deepEqual(
      (await jwt())?.keys.map(({ state }) => state),
      ['signing', 'next'],
    );
  } finally {
    await house.close();
  }
});

/** @proves keys.rotation, keys.compromised */
test('what proves the house to identity providers is published an hour before it signs, and at once when one is compromised', () =>
  withAgent(async (house) => {
    const { clientKeys } = house.identity;
    assert.deepEqual(await clientKeys.list(), [], 'being listed makes none');
    const first = (await clientKeys.signer()).kid;
    const published = async () => (await clientKeys.jwks()).keys.map(({ kid }) => kid);
    const by = 'person:owner@example.test';
    const { kid: second } = await inventoryOf(house).rotate('identity-provider-client', { by, compromised: false });
    assert.deepEqual([(await clientKeys.signer()).kid, await published()], [first, [first, second]]);
    house.pass(3_600_000);
    await house.settled();
    assert.equal((await clientKeys.signer()).kid, second);
    const { kid: third } = await inventoryOf(house).rotate('identity-provider-client', { by, compromised: true });
    assert.deepEqual([(await clientKeys.signer()).kid, await published()], [third, [third]]);
  }));

/** @proves keys.compromised */
test('a compromised key ends every token at once, and is rotated whatever waited', () =>
  withAgent(async (house, client) => {
    const { access_token: before } = await client.startTask();
    await inventoryOf(house).rotate('access-token', { by: 'person:owner@example.test', compromised: false });
    const { kid } = await inventoryOf(house).rotate('access-token', {
      by: 'person:owner@example.test',
      compromised: true,
    });
    assert.deepEqual(
      house.identity.keys.list().map((key) => [key.kid, key.state]),
      [[kid, 'signing']],
    );
    assert.equal((await client.introspect(before)).active, false);
    assert.equal((await client.introspect((await client.startTask()).access_token)).active, true);
  }));

/** @proves keys.rotation */
test('rotation under load: of tokens made and used all the while, none is refused', () =>
  withAgent(async (house, client) => {
    const failures: unknown[] = [];
    let used = 0;
    let isOver = false;
    let resting = 0;
    let rest: Promise<void> | undefined;
    const held: string[] = [];
    const workers = Array.from({ length: 4 }, async () => {
      while (!isOver) {
        try {
          resting++;
          await rest;
          resting--;
          held.push((await client.startTask()).access_token);
          for (const token of held.slice(-8)) {
            if ((await client.introspect(token)).active !== true) failures.push('a token is not active');
            used++;
          }
        } catch (error) {
          failures.push(error);
          return;
        }
      }
    });
    const more = async (goal: number) => {
      while (used < goal && failures.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    };
    const { keys } = house.identity;
    for (let round = 0; round < 3; round++) {
      const before = keys.signer().kid;
      await inventoryOf(house).rotate('access-token', { by: 'gatehouse', compromised: false });
      await more(used + 40);
      // A jump of the clock, and not a rotation, would have the replica out of touch for a moment: nobody asks meanwhile.
      const { promise, resolve } = Promise.withResolvers<void>();
      rest = promise;
      while (resting < 4) await new Promise((wait) => setTimeout(wait, 5));
      held.splice(0, held.length - 8);
      house.pass(11 * 60_000);
      await house.settled();
      assert.notEqual(keys.signer().kid, before);
      rest = undefined;
      resolve();
      await more(used + 40);
    }
    isOver = true;
    await Promise.all(workers);
    assert.deepEqual(failures, []);
  }));

test('every signing key in the database is of a listed purpose, and what cannot be rotated says why', () =>
  withAgent(async (house) => {
    await house.identity.trustDomain.view();
    await house.identity.clientKeys.signer();
    const listed = await inventoryOf(house).list();
    // What waits to be signed elsewhere signs nothing yet.
    assert.deepEqual(
      listed.map(({ purpose }) => purpose).sort(),
      signingKeyPurposes.filter((purpose) => purpose !== 'x509-request').sort(),
      'no other key can be stored: the type of the column is this list',
    );
    const rows = await house.storage.db.selectFrom('signing_keys').select(['kid', 'purpose']).execute();
    for (const { kid, purpose } of rows)
      assert.ok(
        listed.some((each) => each.purpose === purpose && each.keys.some((key) => key.kid === kid)),
        `${purpose} ${kid} is in no list`,
      );
    assert.deepEqual(
      listed.map(({ purpose, keys }) => [purpose, keys.length]),
      [
        ['access-token', 1],
        ['x509-root', 1],
        ['x509-intermediate', 1],
        ['jwt-svid', 1],
        ['x509-clouds', 0],
        ['identity-provider-client', 1],
        ['identity-token', 0],
        ['signed-token', 0],
        ['push', 0],
        ['ssh-ca', 0],
        ['log', 1],
      ],
    );
    const { kid } = await inventoryOf(house).rotate('jwt-svid', { by: 'gatehouse', compromised: true });
    const [jwt] = (await inventoryOf(house).list()).filter(({ purpose }) => purpose === 'jwt-svid');
    assert.deepEqual(
      jwt?.keys.map((key) => key.kid),
      [kid],
    );
    await assert.rejects(inventoryOf(house).rotate('log', { by: 'gatehouse', compromised: false }), {
      code: 'key.fixed',
    });
    await assert.rejects(inventoryOf(house).rotate('none', { by: 'gatehouse', compromised: false }), {
      code: 'key.purpose-unknown',
    });
  }));
