import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createSoftwarePasskey } from '../../../../sdk/src/software-passkey.ts';
import { createPeople } from './people.ts';
import { onEachDatabase } from './testing/databases.ts';
import { cookieOf, type House, openHouse } from './testing/house.ts';

const MINUTE = 60_000;
const OWNER = 'owner@example.test';

onEachDatabase('signing in', (database) => {
  let house: House;
  before(async () => {
    house = await openHouse({ database: await database() });
  });
  after(() => house.close());

  let number = 0;
  const newPerson = async () => {
    const email = `person-${++number}@example.test`;
    await house.declare(email, 'developer');
    return email;
  };
  const { authenticatePerson } = {
    authenticatePerson: (cookie?: string) => house.people.authenticatePerson({ cookie }),
  };

  test('a sign-in link opens one session, once', async () => {
    const email = await newPerson();
    const { token, url, expiresAt } = await house.people.createSigninLink(email, { by: 'gatehouse' });
    assert.equal(url, `http://localhost:4100/sign-in#${token}`);
    assert.equal(expiresAt, house.clock.now() + 15 * MINUTE);
    const opened = await house.openLink(token);
    assert.equal(opened.person.email, email);
    await assert.rejects(house.people.redeemSigninLink(token, {}), { code: 'signin-link.invalid' });
  });

  test('of many who redeem one link at the same time, one gets in', async () => {
    const { token } = await house.people.createSigninLink(await newPerson(), { by: 'gatehouse' });
    const tries = await Promise.allSettled(Array.from({ length: 8 }, () => house.people.redeemSigninLink(token, {})));
    assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, 1);
  });

  test('a link that has run out, was replaced or is made up opens nothing, and the refusals do not differ', async () => {
    const email = await newPerson();
    const replaced = await house.people.createSigninLink(email, { by: 'gatehouse' });
    const late = await house.people.createSigninLink(email, { by: 'gatehouse' });
    const refusal = (token: string) =>
      house.people.redeemSigninLink(token, {}).then(
        () => 'opened',
        (error) => `${error.code} ${error.message}`,
      );
    const refusals = [await refusal(replaced.token)];
    house.pass(15 * MINUTE);
    for (const token of [late.token, `signin_${'A'.repeat(43)}`, '']) refusals.push(await refusal(token));
    assert.equal(new Set(refusals).size, 1);
    assert.match(refusals[0] ?? '', /^signin-link\.invalid /);
  });

  test('the database holds neither the token of a link nor that of a session', async () => {
    const { token } = await house.people.createSigninLink(await newPerson(), { by: 'gatehouse' });
    const session = await house.openLink(token);
    const stored = JSON.stringify([
      await house.storage.db.selectFrom('signin_links').selectAll().execute(),
      await house.storage.db.selectFrom('people_sessions').selectAll().execute(),
      await house.records(),
    ]);
    const secrets = [token, token.slice('signin_'.length), cookieOf(session).split('=')[1] ?? ''];
    for (const secret of secrets) assert.ok(secret.length >= 43 && !stored.includes(secret));
  });

  test('until a passkey is enrolled the session is good for enrolment only; then it is a new session', async () => {
    const email = await newPerson();
    const { token } = await house.people.createSigninLink(email, { by: 'gatehouse' });
    const opened = await house.openLink(token);
    const cookie = cookieOf(opened);
    await assert.rejects(authenticatePerson(cookie), { code: 'session.enrol-first' });
    const person = await house.people.authenticatePerson({ cookie }, { enrolling: true });
    assert.equal(person.enrolled, false);

    const { session } = await house.addPasskey(person, createSoftwarePasskey());
    assert.notEqual(cookieOf(session), cookie);
    await assert.rejects(house.people.authenticatePerson({ cookie }, { enrolling: true }), { code: 'session.none' });
    const enrolled = await authenticatePerson(cookieOf(session));
    assert.deepEqual([enrolled.email, enrolled.enrolled, enrolled.roles], [email, true, ['developer']]);
  });

  test('a link leads somebody who has a passkey to it, and opens nothing', async () => {
    const email = await newPerson();
    await house.enrol(email);
    const { token } = await house.people.createSigninLink(email, { by: 'gatehouse' });
    assert.deepEqual(await house.people.redeemSigninLink(token, {}), { next: 'passkey', person: email });
    await assert.rejects(house.people.redeemSigninLink(token, {}), { code: 'signin-link.invalid' });
    assert.equal((await house.people.listSessions(email)).length, 1);
  });

  test('two link sessions of one person cannot both enrol', async () => {
    const email = await newPerson();
    const people = [];
    for (const _ of [1, 2]) {
      const { token } = await house.people.createSigninLink(email, { by: 'gatehouse' });
      people.push((await house.openLink(token)).person);
    }
    const tries = await Promise.allSettled(people.map((person) => house.addPasskey(person, createSoftwarePasskey())));
    assert.deepEqual(tries.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
    assert.equal((await house.people.listPasskeys(email)).length, 1);
  });

  test('a recovery link replaces every passkey and ends every session, so that a takeover shows', async () => {
    const email = await newPerson();
    const { passkey: lost, cookie } = await house.enrol(email);
    const { token } = await house.people.createSigninLink(email, { by: 'gatehouse', recovery: true });
    const opened = await house.openLink(token);
    assert.equal((await authenticatePerson(cookie)).email, email);
    const replacement = createSoftwarePasskey();
    await house.addPasskey(opened.person, replacement);
    await assert.rejects(authenticatePerson(cookie), { code: 'session.none' });
    await assert.rejects(house.signIn(lost), { code: 'passkey.not-verified' });
    assert.equal((await house.signIn(replacement)).person.email, email);
    const changes = (await house.records('passkey.enrol')).at(-1)?.changes.join('; ') ?? '';
    assert.match(changes, /by recovery; passkey \S+ removed/);
  });

  test('only an admin or the host makes links, and nobody makes a recovery link for themselves', async () => {
    const [admin, developer] = [`admin-${await newPerson()}`, await newPerson()];
    await house.declare(admin, 'admin');
    const { people } = house;
    await people.createSigninLink(developer, { by: `person:${admin}`, recovery: true });
    await people.createSigninLink(admin, { by: `person:${admin}` });
    for (const [of, by] of [
      [admin, `person:${developer}`],
      [admin, developer],
      [admin, 'spiffe://gatehouse.example.test/env/prod/agent/support'],
    ]) {
      await assert.rejects(people.createSigninLink(of ?? '', { by: by ?? '' }), { code: 'signin-link.not-admin' });
    }
    await assert.rejects(people.createSigninLink(admin, { by: `person:${admin}`, recovery: true }), {
      code: 'signin-link.own-recovery',
    });
    await assert.rejects(people.createSigninLink('nobody@example.test', { by: 'gatehouse' }), {
      code: 'person.not-found',
    });
  });

  test('a session ends after an hour unused, and after twelve hours in any case', async () => {
    const { cookie } = await house.enrol(await newPerson());
    house.pass(59 * MINUTE);
    await authenticatePerson(cookie);
    house.pass(59 * MINUTE);
    await authenticatePerson(cookie);
    house.pass(60 * MINUTE);
    await assert.rejects(authenticatePerson(cookie), { code: 'session.none' });

    const { cookie: used } = await house.enrol(await newPerson());
    for (let hour = 0; hour < 13; hour++) {
      house.pass(55 * MINUTE);
      await authenticatePerson(used);
    }
    house.pass(5 * MINUTE);
    await assert.rejects(authenticatePerson(used), { code: 'session.none' });
  });

  test('a stream that only asks whether its reader is still there does not keep the session alive', async () => {
    const { cookie } = await house.enrol(await newPerson());
    for (let minute = 0; minute < 59; minute++) {
      house.pass(MINUTE);
      await house.people.authenticatePerson({ cookie }, { passive: true });
    }
    house.pass(MINUTE);
    await assert.rejects(authenticatePerson(cookie), { code: 'session.none' });
  });

  test('a stolen cookie is worth nothing after the session is revoked, signed out or swept', async () => {
    const email = await newPerson();
    const { passkey, cookie, person } = await house.enrol(email);
    const second = await house.signIn(passkey);
    await house.people.revokeSession(email, person.session, `person:${email}`);
    await assert.rejects(authenticatePerson(cookie), { code: 'session.none' });
    await authenticatePerson(cookieOf(second));

    const cleared = await house.people.signOut(second.person);
    assert.match(cleared, /^gatehouse_session=; .*Max-Age=0/);
    await assert.rejects(authenticatePerson(cookieOf(second)), { code: 'session.none' });

    const third = await house.signIn(passkey);
    assert.equal(await house.people.revokeAllSessions(email, 'gatehouse'), 1);
    await assert.rejects(authenticatePerson(cookieOf(third)), { code: 'session.none' });
    await assert.rejects(house.people.enrolmentOptions(third.person), { code: 'session.none' });
  });

  test('nobody revokes the session of another person by its id', async () => {
    const { person: victim, cookie } = await house.enrol(await newPerson());
    const other = await newPerson();
    await assert.rejects(house.people.revokeSession(other, victim.session, `person:${other}`), {
      code: 'session.not-found',
    });
    await authenticatePerson(cookie);
  });

  test('signing in again ends the session whose cookie comes along', async () => {
    const { passkey, cookie } = await house.enrol(await newPerson());
    const next = await house.signIn(passkey, cookie);
    await assert.rejects(authenticatePerson(cookie), { code: 'session.none' });
    await authenticatePerson(cookieOf(next));
  });

  test('roles are those of now, and somebody no longer declared is no longer signed in', async () => {
    const email = await newPerson();
    const { cookie } = await house.enrol(email);
    await house.declare(email, 'auditor');
    assert.deepEqual((await authenticatePerson(cookie)).roles, ['auditor']);
    await house.undeclare(email);
    await assert.rejects(authenticatePerson(cookie), { code: 'session.none' });
  });

  test('a request with an Authorization header is refused outright, with a good session too', async () => {
    const { cookie } = await house.enrol(await newPerson());
    for (const authorization of ['Bearer eyJhbGciOiJFUzI1NiJ9.e30.x', 'DPoP x', 'Basic eDp5', '']) {
      await assert.rejects(house.people.authenticatePerson({ cookie, authorization }), {
        code: 'person.token-refused',
      });
    }
  });

  test('a planted second cookie does not silently win', async () => {
    const { cookie } = await house.enrol(await newPerson());
    const planted = `gatehouse_session=${'A'.repeat(43)}`;
    for (const header of [`${planted}; ${cookie}`, `${cookie}; ${planted}`]) {
      await assert.rejects(authenticatePerson(header), { code: 'session.ambiguous' });
    }
    for (const header of [undefined, '', 'gatehouse_session=', 'gatehouse_session=x', `x${cookie}`, planted]) {
      await assert.rejects(authenticatePerson(header), { code: 'session.none' });
    }
    await authenticatePerson(`theme=dark; ${cookie}; other=1`);
  });

  test('sign-ins, links and revocations are in the log, with who did it', async () => {
    const email = await newPerson();
    const { passkey, person } = await house.enrol(email);
    await house.signIn(passkey);
    await house.people.revokeSession(email, person.session, 'person:security@example.test');
    const mine = (await house.records()).filter(
      (record) => record.operation !== 'manifest.apply' && JSON.stringify(record).includes(email),
    );
    assert.deepEqual(
      mine.map((record) => [record.operation, record.actor_chain[0]?.sub ?? record.requested_by]),
      [
        ['person.signin-link', 'gatehouse'],
        ['person.signin-link.redeem', `person:${email}`],
        ['passkey.enrol', `person:${email}`],
        ['person.sign-in', `person:${email}`],
        ['session.revoke', 'person:security@example.test'],
      ],
    );
  });

  test('sweeping forgets what has run out and leaves live sessions alone', async () => {
    const { cookie, passkey } = await house.enrol(await newPerson());
    await house.people.createSigninLink(await newPerson(), { by: 'gatehouse' });
    await house.people.signInOptions();
    house.pass(30 * MINUTE);
    const { challenge } = (await house.people.signInOptions()) as { challenge: string };
    await house.people.sweep();
    const { db } = house.storage;
    assert.equal((await db.selectFrom('signin_links').selectAll().execute()).length, 0);
    assert.deepEqual(
      (await db.selectFrom('webauthn_challenges').select('challenge').execute()).map((row) => row.challenge),
      [challenge],
    );
    await authenticatePerson(cookie);
    assert.ok(passkey);
  });
});

describe('the session cookie', () => {
  test('is out of reach of scripts, other sites and, on https, other hosts', async () => {
    for (const [publicUrl, attributes] of [
      [
        'https://gate.example.test',
        /^__Host-gatehouse_session=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=900; Secure$/,
      ],
      ['http://localhost:4100', /^gatehouse_session=[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=900$/],
    ] as const) {
      const house = await openHouse({ publicUrl });
      try {
        await house.declare(OWNER, 'owner');
        const { token } = await house.people.createSigninLink(OWNER, { by: 'gatehouse' });
        const { setCookie } = await house.openLink(token);
        assert.match(setCookie, attributes);
      } finally {
        await house.close();
      }
    }
  });

  test('an address where browsers have no passkeys is refused when the server starts', async () => {
    const house = await openHouse();
    try {
      for (const publicUrl of [
        'http://127.0.0.1:4100',
        'https://10.0.0.1',
        'http://[::1]:4100',
        'http://gate.example.test',
      ]) {
        assert.throws(() => createPeople({ ...house, publicUrl }), { code: 'people.public-url' });
      }
      createPeople({ ...house, publicUrl: 'https://gate.example.test:8443' });
    } finally {
      await house.close();
    }
  });
});
