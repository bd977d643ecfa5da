import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { manifest } from '@gatehouse/protocol';
import { createSoftwarePasskey } from '../../../../sdk/src/software-passkey.ts';
import { networkOf } from './challenges.ts';
import { sessionLimits } from './limits.ts';
import { onEachDatabase } from './testing/databases.ts';
import { cookieOf, type House, openHouse } from './testing/house.ts';

const HOUR = 3_600_000;

onEachDatabase('whom only an identity provider knows', (database) => {
  let house: House;
  before(async () => {
    house = await openHouse({ database: await database() });
    const provider = (name: string, more: object = {}) =>
      manifest.parse({
        kind: 'IdentityProvider',
        name,
        displayName: 'Example Inc.',
        issuer: 'https://idp.example.test',
        clientId: 'x',
        ...more,
      });
    await house.registry.apply([provider('company'), provider('strict', { signInAgainHours: 2 })], {
      prune: false,
      by: 'gatehouse',
    });
  });
  after(() => house.close());

  let number = 0;
  /** As a sign-in at the provider leaves it, at this very moment. */
  async function vouch(email: string, { provider = 'company', sid = 'one' } = {}) {
    await house.storage.transaction(async (transaction) => {
      await house.registry.provisionPerson(
        transaction,
        email,
        { by: `oidc/${provider}`, id: email, displayName: email, groups: [], roles: ['admin'], successor: null },
        `oidc/${provider}`,
      );
      const signedIn = { signed_in_at: house.clock.now(), provider_session: sid };
      await transaction
        .insertInto('person_identities')
        .values({
          issuer: provider,
          subject: email,
          person: email,
          provider,
          linked_at: 0,
          last_used_at: 0,
          ...signedIn,
        })
        .onConflict((conflict) => conflict.columns(['issuer', 'subject']).doUpdateSet(signedIn))
        .execute();
    });
    await house.registry.refresh([]);
    return house.storage.transaction((transaction) =>
      house.people.openProviderSession(transaction, email, {
        provider: { name: provider, subject: email, session: sid },
        userAgent: 'test',
      }),
    );
  }
  async function withPasskey(provider?: string) {
    const email = `vouched-${++number}@example.test`;
    const { person } = await vouch(email, provider === undefined ? {} : { provider });
    const passkey = createSoftwarePasskey();
    const { session } = await house.addPasskey(person, passkey);
    return { email, passkey, session };
  }
  const isIn = (session: { setCookie: string }) =>
    house.people.authenticatePerson({ cookie: cookieOf(session) }).then(
      () => true,
      () => false,
    );

  /** @proves oidc.vouched */
  test('signs in with a passkey for a day after a sign-in there, and no session lasts longer', async () => {
    const { email, passkey, session } = await withPasskey();
    assert.ok(await isIn(session));
    house.pass(23 * HOUR);
    const late = await house.signIn(passkey);
    assert.equal(late.expiresAt, house.clock.now() + HOUR, 'it ends with the word that it rests on');
    house.pass(HOUR);
    assert.equal(await isIn(late), false);
    await assert.rejects(house.signIn(passkey), {
      code: 'session.company-sign-in',
      message: /Sign in with Example Inc\. first/,
    });
    const { token } = await house.people.createSigninLink(email, { by: 'gatehouse', recovery: true });
    await assert.rejects(house.openLink(token), { code: 'session.company-sign-in' }, 'nor does a link get around it');
    await vouch(email);
    assert.ok(await isIn(await house.signIn(passkey)));
    assert.ok(await house.openLink(token), 'the refusal did not use it up');
  });

  test('the manifest says how long, and a terminal is bound to it as well', async () => {
    const { email, session } = await withPasskey('strict');
    const terminal = await house.people.openTerminalSession({
      person: email,
      grantedIn: session.person.session,
      userAgent: 'gatehouse',
      dpopJkt: 'x',
    });
    assert.equal(terminal.expiresAt, house.clock.now() + 2 * HOUR);
  });

  /** @proves oidc.vouched */
  test('a logout there ends what the passkey opened, and the passkey opens nothing until the next sign-in', async () => {
    for (const [of, ends] of [
      [(email: string) => ({ subject: email }), true],
      [() => ({ session: 'one' }), true],
      [(email: string) => ({ subject: email, session: 'one' }), true],
      [(email: string) => ({ subject: email, session: 'of-earlier' }), false],
    ] as const) {
      const { email, passkey } = await withPasskey();
      const session = await house.signIn(passkey);
      await house.storage.transaction((transaction) =>
        house.people.endProviderSessions(transaction, { provider: 'company', ...of(email) }),
      );
      assert.equal(await isIn(session), !ends);
      if (ends) await assert.rejects(house.signIn(passkey), { code: 'session.company-sign-in' });
      else await house.signIn(passkey);
      await house.storage.db.updateTable('person_identities').set({ provider_session: null }).execute();
    }
  });

  test('somebody whom a manifest or the directory names does not rest on the provider', async () => {
    const { email, passkey } = await withPasskey();
    await house.declare(email, 'auditor');
    house.pass(48 * HOUR);
    const session = await house.signIn(passkey);
    await house.storage.transaction((transaction) =>
      house.people.endProviderSessions(transaction, { provider: 'company', subject: email }),
    );
    assert.ok(await isIn(session));
  });

  test('a provider that is gone vouches for nobody', async () => {
    const { passkey } = await withPasskey('strict');
    const others = (await house.registry.exportManifests()).filter(
      (each) => each.kind !== 'IdentityProvider' || each.name !== 'strict',
    );
    await house.registry.apply(others, { prune: true, by: 'gatehouse' });
    await assert.rejects(house.signIn(passkey), { code: 'session.provider-gone' });
  });

  test('a link ends the session whose cookie comes along', async () => {
    const email = 'linked@example.test';
    await house.declare(email, 'developer');
    const open = async (cookie?: string) => {
      const { token } = await house.people.createSigninLink(email, { by: 'gatehouse' });
      const redeemed = await house.people.redeemSigninLink(token, cookie === undefined ? {} : { cookie });
      assert.ok(redeemed.next === 'enrol');
      return cookieOf(redeemed.session);
    };
    const first = await open();
    const second = await open(first);
    await assert.rejects(house.people.authenticatePerson({ cookie: first }, { enrolling: true }), {
      code: 'session.none',
    });
    await house.people.authenticatePerson({ cookie: second }, { enrolling: true });
  });

  /** @proves people.challenge-flood */
  test('a flood of challenges from one network displaces its own', async () => {
    const email = 'calm@example.test';
    await house.declare(email, 'developer');
    const { passkey } = await house.enrol(email);
    const options = await house.people.signInOptions('192.0.2.7');
    const flood = Array.from({ length: sessionLimits.openChallenges }, (_, index) => ({
      id: `flood-${index}`,
      person: '',
      purpose: 'sign-in',
      challenge: `flood-${index}`,
      source: networkOf(`2001:db8::${index.toString(16)}`),
      expires_at: house.clock.now() + 600_000 + index,
    }));
    for (let at = 0; at < flood.length; at += 500)
      await house.storage.db
        .insertInto('webauthn_challenges')
        .values(flood.slice(at, at + 500))
        .execute();
    await house.people.signInOptions('2001:db8::ffff');
    await house.people.signInOptions('192.0.2.8');
    const left = await house.storage.db
      .selectFrom('webauthn_challenges')
      .select('id')
      .where('purpose', '=', 'sign-in')
      .execute();
    assert.equal(left.length, sessionLimits.openChallenges);
    assert.ok(!left.some(({ id }) => id === 'flood-0'), 'its oldest went');
    const answer = passkey.assert(options as never, 'http://localhost:4100');
    assert.equal((await house.people.signIn({ ...answer } as never, {})).person.email, email);
  });
});

test('one asker is one address of IPv4, and a /64 of IPv6', () => {
  for (const [address, network] of [
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    [null, ''],
  ] as const)
    assert.equal(networkOf(address), network);
});
