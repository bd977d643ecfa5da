import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sessionLimits as limits } from './limits.ts';
import { onEachDatabase } from './testing/databases.ts';
import { type House, openHouse } from './testing/house.ts';

const person = 'dana@example.test';
const dpopJkt = 'k'.repeat(43);
const holds = async () => undefined;

onEachDatabase('sessions of terminals', (database) => {
  let house: House;
  before(async () => {
    house = await openHouse({ database: await database() });
    await house.declare(person, 'auditor');
  });
  after(() => house.close());

  const enter = (grantedIn: string) =>
    house.people.openTerminalSession({ person, grantedIn, userAgent: 'gatehouse-cli/0.1.0 (laptop)', dpopJkt });

  /** @proves terminal.bound */
  test('one lasts without use, to its end and no longer; and whoever does not prove to hold its key is nobody', async () => {
    const { person: browser, cookie } = await house.enrol(person);
    const { token } = await enter(browser.session);
    const authorization = `Session ${token.reveal()}`;
    const ask = (prove?: typeof holds) => house.people.authenticatePerson({ authorization }, prove ? { prove } : {});
    assert.equal((await ask(holds)).restricted, true);
    await assert.rejects(ask(), { code: 'session.unbound' });
    const wrong = () => Promise.reject(new Error('another key'));
    await assert.rejects(ask(wrong), /another key/);

    house.pass(limits.idleTtlMs + 1);
    await house.people.sweep();
    await assert.rejects(house.people.authenticatePerson({ cookie }), { code: 'session.none' });
    assert.equal((await ask(holds)).email, person);
    house.pass(limits.sessionTtlMs - limits.idleTtlMs - 1);
    await assert.rejects(ask(holds), { code: 'session.none' });
    await assert.rejects(enter(browser.session), { code: 'session.none' }, 'and a session that is over lets none in');
  });

  /** @proves terminal.place */
  test('its token is no cookie, a cookie no token of a terminal, and with it no passkey is added', async () => {
    const erin = 'erin-of-two-places@example.test';
    await house.declare(erin, 'auditor');
    const { person: browser, cookie } = await house.enrol(erin);
    const { token } = await house.people.openTerminalSession({
      ...{ person: erin, userAgent: '', dpopJkt },
      grantedIn: browser.session,
    });
    const [name = '', secret = ''] = cookie.split('=');
    await assert.rejects(house.people.authenticatePerson({ cookie: `${name}=${token.reveal()}` }), {
      code: 'session.none',
    });
    await assert.rejects(house.people.authenticatePerson({ authorization: `Session ${secret}` }, { prove: holds }), {
      code: 'session.none',
    });
    const prove = { prove: holds };
    const terminal = await house.people.authenticatePerson({ authorization: `Session ${token.reveal()}` }, prove);
    await assert.rejects(house.people.enrolmentOptions(terminal), { code: 'session.restricted' });
  });

  test('what a provider has vouched for ends with that provider’s logout, on the terminal as in the browser', async () => {
    const provider = { name: 'company', subject: 'dana-1', session: 'one' };
    const erin = 'erin@example.test';
    await house.declare(erin, 'auditor');
    const opened = await house.storage.transaction((transaction) =>
      house.people.openProviderSession(transaction, erin, { provider, userAgent: 'browser' }),
    );
    assert.deepEqual(await house.people.presence(opened.person), { by: 'provider', provider: 'company', fresh: true });
    const { token } = await house.people.openTerminalSession({
      person: erin,
      grantedIn: opened.person.session,
      userAgent: '',
      dpopJkt,
    });
    house.pass(limits.freshMs);
    assert.deepEqual(await house.people.presence(opened.person), { by: 'provider', provider: 'company', fresh: false });
    const ended = await house.storage.transaction((transaction) =>
      house.people.endProviderSessions(transaction, { provider: 'company', session: 'one' }),
    );
    assert.equal(ended, 2);
    const authorization = `Session ${token.reveal()}`;
    await assert.rejects(house.people.authenticatePerson({ authorization }, { prove: holds }), {
      code: 'session.none',
    });
  });

  test('who has a passkey shows it, however they signed in', async () => {
    const frank = 'frank@example.test';
    await house.declare(frank, 'auditor');
    await house.enrol(frank);
    const provider = { name: 'company', subject: 'frank-1', session: null };
    const opened = await house.storage.transaction((transaction) =>
      house.people.openProviderSession(transaction, frank, { provider, userAgent: 'browser' }),
    );
    assert.deepEqual(await house.people.presence(opened.person), { by: 'passkey' });
  });
});
