import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ConfirmationShown } from '@gatehouse/protocol';
import type { RequestOptions, SoftwarePasskey } from '../../../../sdk/src/software-passkey.ts';
import { onEachDatabase } from '../people/testing/databases.ts';
import { type House, ORIGIN, openHouse } from '../people/testing/house.ts';
import type { SignedInPerson } from '../people/types.ts';
import { type Confirmations, createConfirmations } from './confirmations.ts';

const MINUTE = 60_000;
const ADMIN = 'admin@example.test';
const COMPANY = 'company@example.test';

onEachDatabase('confirmations', (database) => {
  let house: House;
  let confirmations: Confirmations;
  let admin: { person: SignedInPerson; passkey: SoftwarePasskey };

  const request = { method: 'POST', target: '/apply', body: { a: 1 } };
  const shown: ConfirmationShown = {
    summary: 'Apply',
    request: 'POST /apply',
    body: { a: 1 },
    changes: null,
    changesWhoGetsIn: false,
  };

  before(async () => {
    house = await openHouse({ database: await database() });
    const { storage, people, recordChange, clock, publicUrl } = house;
    confirmations = createConfirmations({ storage, people, recordChange, clock, publicUrl });
    for (const email of [ADMIN, COMPANY]) await house.declare(email, 'admin');
    admin = await house.enrol(ADMIN);
  });
  after(() => house.close());

  const terminalOf = async (person: SignedInPerson): Promise<SignedInPerson> => {
    const { session } = await house.people.openTerminalSession({
      person: person.email,
      grantedIn: person.session,
      userAgent: 'gatehouse-cli/1.0.0 (laptop)',
      dpopJkt: 'k',
    });
    return { ...person, session, restricted: true, via: 'device' };
  };
  const answerOf = async (id: string) => {
    const { digest } = await confirmations.show(id, admin.person);
    const options = await confirmations.options(id, admin.person, digest);
    return { digest, assertion: { ...admin.passkey.assert(options as unknown as RequestOptions, ORIGIN) } };
  };
  const use = async (id: string, terminal: SignedInPerson) => {
    const confirmed = await confirmations.find(id, terminal, request);
    await house.storage.transaction((transaction) => confirmed.use(transaction));
  };

  /** @proves law-4.confirmation-once */
  test('a question is open for 10 minutes, and a yes good for 10', async () => {
    const terminal = await terminalOf(admin.person);
    const late = await confirmations.ask(terminal, request, shown);
    assert.equal(late.url, `${ORIGIN}/confirm/${late.id}`);
    const answer = await answerOf(late.id);
    house.pass(10 * MINUTE);
    await assert.rejects(confirmations.confirm(late.id, admin.person, answer), { code: 'confirmation.unknown' });

    const good = await confirmations.ask(terminal, request, shown);
    house.pass(9 * MINUTE);
    await confirmations.confirm(good.id, admin.person, await answerOf(good.id));
    house.pass(9 * MINUTE);
    const found = await confirmations.find(good.id, terminal, request);
    house.pass(MINUTE);
    await assert.rejects(
      house.storage.transaction((transaction) => found.use(transaction)),
      { code: 'confirmation.answered' },
      'nor while it is being used',
    );
    await assert.rejects(use(good.id, terminal), { code: 'confirmation.unknown' });
  });

  /** @proves law-4.confirmation-once */
  test('a change that is taken back gives the yes back', async () => {
    const terminal = await terminalOf(admin.person);
    const { id } = await confirmations.ask(terminal, request, shown);
    await confirmations.confirm(id, admin.person, await answerOf(id));
    const confirmed = await confirmations.find(id, terminal, request);
    await assert.rejects(
      house.storage.transaction(async (transaction) => {
        await confirmed.use(transaction);
        throw new Error('the change failed');
      }),
      /the change failed/,
    );
    await use(id, terminal);
    await assert.rejects(use(id, terminal), { code: 'confirmation.used' });
  });

  /** @proves law-4.confirmation-people */
  test('who has no passkey confirms right after signing in with the company, and never who gets in', async () => {
    const signInAtCompany = () =>
      house.storage.transaction((transaction) =>
        house.people.openProviderSession(transaction, COMPANY, {
          provider: { name: 'company', subject: 's', session: null },
          userAgent: 'test',
        }),
      );
    const { person } = await signInAtCompany();
    const terminal = await terminalOf(person);
    await assert.rejects(confirmations.ask(terminal, request, { ...shown, changesWhoGetsIn: true }), {
      code: 'session.restricted',
    });
    const { id } = await confirmations.ask(terminal, request, shown);
    house.pass(6 * MINUTE);
    const { digest } = await confirmations.show(id, person);
    await assert.rejects(confirmations.confirm(id, person, { digest }), { code: 'confirmation.sign-in-again' });
    const again = await signInAtCompany();
    await confirmations.confirm(id, again.person, { digest });
    await use(id, terminal);
    const [record] = (await house.records('confirmation.confirm')).slice(-1);
    assert.match(JSON.stringify(record?.changes), /signed in with company/);
  });

  /** @proves law-4.confirmation-person */
  test('a restricted session confirms nothing, even where no policy says so', async () => {
    const terminal = await terminalOf(admin.person);
    const { id } = await confirmations.ask(terminal, request, shown);
    const answer = await answerOf(id);
    await assert.rejects(confirmations.confirm(id, terminal, answer), { code: 'session.restricted' });
    await assert.rejects(confirmations.options(id, terminal, answer.digest), { code: 'session.restricted' });
    const second = await terminalOf(admin.person);
    await assert.rejects(confirmations.show(id, second), { code: 'confirmation.unknown' });
  });
});
