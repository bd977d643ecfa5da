import assert from 'node:assert/strict';
import { createHash, type JsonWebKey, sign } from 'node:crypto';
import { after, before, test } from 'node:test';
import {
  type AssertionAnswer,
  type CreationOptions,
  createSoftwarePasskey,
  type RequestOptions,
  restoreSoftwarePasskey,
} from '../../../../sdk/src/software-passkey.ts';
import type { Json } from '../../platform/index.ts';
import { onEachDatabase } from './testing/databases.ts';
import { cookieOf, type House, ORIGIN, openHouse } from './testing/house.ts';

const MINUTE = 60_000;

onEachDatabase('passkeys', (database) => {
  let house: House;
  before(async () => {
    house = await openHouse({ database: await database() });
  });
  after(() => house.close());

  let number = 0;
  const newPerson = async () => {
    const email = `holder-${++number}@example.test`;
    await house.declare(email, 'developer');
    return email;
  };
  const request = async () => (await house.people.signInOptions()) as unknown as RequestOptions;
  const answer = (assertion: AssertionAnswer) => house.people.signIn({ ...assertion }, {});

  test('whoever holds the passkey signs in without saying who they are', async () => {
    const email = await newPerson();
    const { passkey } = await house.enrol(email);
    assert.equal((await house.signIn(passkey)).person.email, email);
  });

  test('sign-in asks for user verification and names no credentials', async () => {
    const options = await house.people.signInOptions();
    assert.ok(options && typeof options === 'object' && !Array.isArray(options));
    assert.equal(options.userVerification, 'required');
    assert.equal(options.rpId, 'localhost');
    assert.equal(options.allowCredentials, undefined);
  });

  test('one answer signs in once', async () => {
    const { passkey } = await house.enrol(await newPerson());
    const options = await request();
    const assertion = passkey.assert(options, ORIGIN);
    await answer(assertion);
    await assert.rejects(answer(assertion), { code: 'passkey.not-verified' });
    await request();
    await assert.rejects(answer(assertion), { code: 'passkey.not-verified' });
  });

  test('an answer given 5 minutes late is refused', async () => {
    const { passkey } = await house.enrol(await newPerson());
    const options = await request();
    house.pass(5 * MINUTE);
    await assert.rejects(answer(passkey.assert(options, ORIGIN)), { code: 'passkey.not-verified' });
  });

  test('an answer made for another origin, relying party or challenge is refused', async () => {
    const { passkey } = await house.enrol(await newPerson());
    for (const [origin, change] of [
      ['http://localhost:9999', {}],
      ['https://evil.example.test', {}],
      [ORIGIN, { rpId: 'evil.example.test' }],
      [ORIGIN, { challenge: 'A'.repeat(43) }],
    ] as const) {
      const options = await request();
      const assertion = passkey.assert({ ...options, ...change }, origin);
      await assert.rejects(answer(assertion), { code: 'passkey.not-verified' });
    }
  });

  test('an answer with any part changed, or with the key of somebody else, is refused', async () => {
    const { passkey } = await house.enrol(await newPerson());
    const { passkey: other } = await house.enrol(await newPerson());
    for (const part of ['clientDataJSON', 'authenticatorData', 'signature', 'userHandle', 'credential'] as const) {
      const options = await request();
      const assertion = passkey.assert(options, ORIGIN);
      const foreign = other.assert(options, ORIGIN);
      const changed =
        part === 'credential'
          ? { ...assertion, id: other.id, rawId: other.id }
          : { ...assertion, response: { ...assertion.response, [part]: foreign.response[part] } };
      if (part === 'clientDataJSON') {
        const client = JSON.parse(Buffer.from(changed.response.clientDataJSON, 'base64url').toString());
        changed.response.clientDataJSON = Buffer.from(JSON.stringify({ ...client, extra: 1 })).toString('base64url');
      }
      if (part === 'authenticatorData') {
        const bytes = Buffer.from(changed.response.authenticatorData, 'base64url');
        bytes[36] = 0xff;
        changed.response.authenticatorData = bytes.toString('base64url');
      }
      await assert.rejects(answer(changed), { code: 'passkey.not-verified' }, part);
    }
  });

  test('an answer given inside a frame of another site is refused', async () => {
    const { passkey } = await house.enrol(await newPerson());
    const options = await request();
    const assertion = passkey.assert(options, ORIGIN);
    const client = JSON.parse(Buffer.from(assertion.response.clientDataJSON, 'base64url').toString());
    // Signed anew, so that the frame is the only thing wrong with it.
    const framed = Buffer.from(JSON.stringify({ ...client, crossOrigin: true }));
    const { privateJwk } = JSON.parse(passkey.serialise()) as { privateJwk: JsonWebKey };
    const authenticatorData = Buffer.from(assertion.response.authenticatorData, 'base64url');
    const message = Buffer.concat([authenticatorData, createHash('sha256').update(framed).digest()]);
    const signature = sign('sha256', message, { key: privateJwk, format: 'jwk' }).toString('base64url');
    const response = { ...assertion.response, clientDataJSON: framed.toString('base64url'), signature };
    await assert.rejects(answer({ ...assertion, response }), { code: 'passkey.not-verified' });
  });

  test('an authenticator that did not verify its user can neither enrol nor sign in', async () => {
    const email = await newPerson();
    await assert.rejects(house.enrol(email, { userVerified: false }), { code: 'passkey.not-verified' });
    const { passkey } = await house.enrol(email);
    const unverified = restoreSoftwarePasskey(
      JSON.stringify({ ...JSON.parse(passkey.serialise()), userVerified: false }),
    );
    await assert.rejects(house.signIn(unverified), { code: 'passkey.not-verified' });
    assert.equal((await house.signIn(passkey)).person.email, email);
  });

  test('a copy of a counting passkey is found out by its counter', async () => {
    const { passkey } = await house.enrol(await newPerson());
    const copy = restoreSoftwarePasskey(passkey.serialise());
    await house.signIn(passkey);
    await assert.rejects(house.signIn(copy), { code: 'passkey.replayed' });
  });

  test('a passkey that keeps no counter signs in again and again', async () => {
    const { passkey } = await house.enrol(await newPerson(), { counter: 'none' });
    await house.signIn(passkey);
    await house.signIn(passkey);
  });

  test('nonsense in place of an answer gets a precise error and burns nothing else', async () => {
    const good = { id: 'AA', rawId: 'AA', type: 'public-key', response: {} };
    const nonsense: Json[] = [
      null,
      [],
      'x',
      {},
      good,
      { ...good, response: { clientDataJSON: 'e30', authenticatorData: '', signature: 'AA' } },
      { ...good, response: { clientDataJSON: 'e30', authenticatorData: 'A'.repeat(9_000), signature: 'AA' } },
      { ...good, type: 'password', response: { clientDataJSON: 'e30', authenticatorData: 'AA', signature: 'AA' } },
    ];
    for (const assertion of nonsense) {
      await assert.rejects(house.people.signIn(assertion, {}), { code: 'passkey.malformed' });
    }
    const { passkey } = await house.enrol(await newPerson());
    await house.signIn(passkey);
  });

  test('a person has several passkeys, names them, and keeps at least one', async () => {
    const email = await newPerson();
    const { passkey: first, person } = await house.enrol(email);
    const { session } = await house.addPasskey(person, createSoftwarePasskey(), 'Security key');
    const me = session.person;
    const names = async () => (await house.people.listPasskeys(email)).map(({ name }) => name);
    assert.deepEqual((await names()).sort(), ['Passkey', 'Security key']);
    assert.equal((await house.people.renamePasskey(me, first.id, 'Laptop')).name, 'Laptop');
    for (const name of ['', ' ', 'a\nb', 'x'.repeat(101)]) {
      await assert.rejects(house.people.renamePasskey(me, first.id, name), { code: 'passkey.name' });
    }
    await house.people.removePasskey(me, first.id);
    assert.deepEqual(await names(), ['Security key']);
    await assert.rejects(house.signIn(first), { code: 'passkey.not-verified' });
    const [last] = await house.people.listPasskeys(email);
    await assert.rejects(house.people.removePasskey(me, last?.id ?? ''), { code: 'passkey.last' });
  });

  test('removing a passkey ends the sessions that were open elsewhere', async () => {
    const email = await newPerson();
    const { passkey: lost, person } = await house.enrol(email);
    const { session } = await house.addPasskey(person, createSoftwarePasskey());
    const elsewhere = await house.signIn(lost);
    await house.people.removePasskey(session.person, lost.id);
    await assert.rejects(house.people.authenticatePerson({ cookie: cookieOf(elsewhere) }), { code: 'session.none' });
    await house.people.authenticatePerson({ cookie: cookieOf(session) });
  });

  test('of two removals at the same time one is refused, so that nobody is locked out', async () => {
    const email = await newPerson();
    const { passkey, person } = await house.enrol(email);
    const { passkey: second, session } = await house.addPasskey(person, createSoftwarePasskey());
    const tries = await Promise.allSettled(
      [passkey.id, second.id].map((id) => house.people.removePasskey(session.person, id)),
    );
    assert.deepEqual(tries.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
    assert.equal((await house.people.listPasskeys(email)).length, 1);
  });

  test('nobody renames, removes or uses the passkey of another person', async () => {
    const { passkey } = await house.enrol(await newPerson());
    const { person: other } = await house.enrol(await newPerson());
    await assert.rejects(house.people.renamePasskey(other, passkey.id, 'mine'), { code: 'passkey.not-found' });
    await assert.rejects(house.people.removePasskey(other, passkey.id), { code: 'passkey.not-found' });
    await assert.rejects(house.addPasskey(other, passkey), { code: 'passkey.known' });
  });

  test('a session older than 5 minutes may not add or remove passkeys until its holder signs in again', async () => {
    const { passkey, person } = await house.enrol(await newPerson());
    house.pass(5 * MINUTE);
    await assert.rejects(house.people.enrolmentOptions(person), { code: 'session.stale' });
    await assert.rejects(house.people.removePasskey(person, passkey.id), { code: 'session.stale' });
    const { person: fresh } = await house.signIn(passkey);
    await house.addPasskey(fresh, createSoftwarePasskey());
  });

  test('an enrolment belongs to the session that asked for it', async () => {
    const { person: asked, passkey } = await house.enrol(await newPerson());
    const { person: other } = await house.enrol(await newPerson());
    const { person: asElsewhere } = await house.signIn(passkey);
    const options = await house.people.enrolmentOptions(asked);
    const attestation = createSoftwarePasskey().register(options as unknown as CreationOptions, ORIGIN);
    const enrolment = { ...attestation };
    for (const person of [other, asElsewhere]) {
      await assert.rejects(house.people.enrol(person, enrolment, {}), { code: 'passkey.not-verified' });
    }
    await house.people.enrol(asked, enrolment, {});
  });

  test('a challenge of one purpose is good for no other', async () => {
    const { passkey, person } = await house.enrol(await newPerson());
    const enrolment = await house.people.enrolmentOptions(person);
    const { challenge } = enrolment as { challenge: string };
    const assertion = passkey.assert({ challenge, rpId: 'localhost' }, ORIGIN);
    await assert.rejects(answer(assertion), { code: 'passkey.not-verified' });
  });

  test('an enrolment that brings certificates is refused before any is looked at', async () => {
    const { person } = await house.enrol(await newPerson());
    const options = await house.people.enrolmentOptions(person);
    const attestation = createSoftwarePasskey().register(options as unknown as CreationOptions, ORIGIN);
    const object = Buffer.from(attestation.response.attestationObject, 'base64url');
    const named = Buffer.concat([Buffer.from('a363666d74'.concat('6374706d'), 'hex'), object.subarray(10)]);
    const response = { ...attestation.response, attestationObject: named.toString('base64url') };
    await assert.rejects(house.people.enrol(person, { ...attestation, response }, {}), {
      code: 'passkey.attestation',
    });
  });
});
