import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createSoftwarePasskey } from '../../../../sdk/src/software-passkey.ts';
import { sessionLimits } from './limits.ts';
import { onEachDatabase } from './testing/databases.ts';
import { cookieOf, type House, openHouse } from './testing/house.ts';

const MINUTE = 60_000;

onEachDatabase('links of mails', (database) => {
  let house: House;
  before(async () => {
    house = await openHouse({ database: await database() });
  });
  after(() => house.close());

  let number = 0;
  async function sent({ person, approval = `apr_${++number}`, mail = `dlv_${number}` } = {} as Record<string, string>) {
    const email = person ?? `mailed-${++number}@example.test`;
    if (person === undefined) await house.declare(email, 'approver');
    const expiresAt = house.clock.now() + 30 * MINUTE;
    await asked(approval);
    const link = await house.people.mailLinks.make({ person: email, approval, channel: 'mail', mail, expiresAt });
    return { email, approval, mail, link, token: link?.token.reveal() ?? '' };
  }
  /** As far as a link looks at it. */
  async function asked(id: string) {
    const none = {
      action_id: id,
      agent: 'a',
      task: 't',
      tool: 's/t',
      digest: 'd',
      body: '{}',
      asked_for: null,
      risk: 0,
    };
    const open = { decided_at: null, decided_by: null, reason: null, assertion: null, consumed_by: null, answers: 0 };
    const times = { created_at: 0, expires_at: house.clock.now() + 60 * MINUTE, escalated_seconds: 0 };
    await house.storage.db
      .insertInto('approvals')
      .values({ id, state: 'pending', ...none, ...open, ...times, seal: null, erasure: null })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
  }
  const redeem = (token: string, approval: string) => house.people.mailLinks.redeem(token, { approval });
  const about = (approval: string) => (of: string) => of === approval;
  const invalid = { code: 'mail-link.invalid' };

  /** @proves mail-link.once */
  test('of many who use one link at once, one gets in, for its approval alone; the token is nowhere', async () => {
    const { email, approval, token, link } = await sent();
    assert.equal(link?.url, `http://localhost:4100/mail/${approval}#${token}`);
    assert.match(token, /^mail_[\w-]{43}$/);
    const tries = await Promise.allSettled(Array.from({ length: 8 }, () => redeem(token, approval)));
    const [session] = tries.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, 1);
    assert.ok(session);
    const headers = { cookie: cookieOf(session) };
    const person = await house.people.authenticatePerson(headers, { isOpenByMail: about(approval) });
    assert.deepEqual([person.email, person.enrolled, person.byMail], [email, false, { approval, channel: 'mail' }]);
    const refused = { code: 'session.by-mail' };
    await assert.rejects(house.people.authenticatePerson(headers), refused);
    await assert.rejects(house.people.authenticatePerson(headers, { enrolling: true }), refused);
    await assert.rejects(house.people.authenticatePerson(headers, { isOpenByMail: about('apr_other') }), refused);
    await assert.rejects(house.people.enrolmentOptions(person), { code: 'session.restricted' });
    const kept = JSON.stringify([
      await house.storage.db.selectFrom('mail_links').selectAll().execute(),
      await house.storage.db.selectFrom('people_sessions').selectAll().execute(),
      await house.records(),
    ]);
    assert.ok(!kept.includes(token.slice('mail_'.length)));
    const refusals = (await house.records('person.mail-link.refuse')).filter((each) => each.approval === approval);
    assert.equal(refusals.length, 1, 'a second use is on record, once');
    const [began] = (await house.records('person.sign-in')).filter((each) => each.approval === approval);
    assert.match(JSON.stringify(began), /by the link of mail dlv_\d+ of channel mail, for apr_\d+ alone/);
  });

  /** @proves mail-link.once */
  test('a link that has run out, is of another approval, was replaced, or is made up opens nothing, and the refusals do not differ', async () => {
    const first = await sent();
    const again = await sent({ person: first.email, approval: first.approval, mail: first.mail });
    const late = await sent();
    const refusal = (token: string, approval: string) =>
      redeem(token, approval).then(
        () => 'opened',
        (error) => `${error.code} ${error.message}`,
      );
    const refusals = [await refusal(first.token, first.approval), await refusal(again.token, 'apr_other')];
    await redeem(again.token, again.approval);
    house.pass(30 * MINUTE);
    for (const token of [late.token, `mail_${'A'.repeat(43)}`, '', 'x'.repeat(200)])
      refusals.push(await refusal(token, late.approval));
    assert.equal(new Set(refusals).size, 1);
    assert.match(refusals[0] ?? '', /^mail-link\.invalid /);
  });

  /** @proves mail-link.ends */
  test('links and their sessions end with the approval, with their person, and after a quarter of an hour', async () => {
    const [decided, gone, old, unused] = [await sent(), await sent(), await sent(), await sent()];
    const sessions: Awaited<ReturnType<typeof redeem>>[] = [];
    for (const each of [decided, gone, old]) sessions.push(await redeem(each.token, each.approval));
    const isLive = (at: number, approval: string) =>
      house.people
        .authenticatePerson(
          { cookie: cookieOf(sessions[at] as (typeof sessions)[number]) },
          { isOpenByMail: about(approval) },
        )
        .then(
          () => true,
          () => false,
        );
    for (const [at, { approval }] of [decided, gone, old].entries()) assert.ok(await isLive(at, approval));
    await house.storage.transaction(async (transaction) => {
      await house.people.mailLinks.end(transaction, decided.approval);
      await house.people.mailLinks.end(transaction, unused.approval);
      await house.people.forget(transaction, gone.email, 'gatehouse');
    });
    assert.ok(!(await isLive(0, decided.approval)));
    assert.ok(!(await isLive(1, gone.approval)));
    assert.ok(await isLive(2, old.approval));
    await assert.rejects(redeem(unused.token, unused.approval), invalid);
    house.pass(15 * MINUTE);
    assert.ok(!(await isLive(2, old.approval)));
  });

  /** @proves mail-link.once */
  test('a link that was written into the database, or moved to another approval there, opens nothing', async () => {
    const { token, approval } = await sent();
    await house.storage.transaction((transaction) =>
      transaction.updateTable('mail_links').set({ approval: 'apr_moved' }).where('approval', '=', approval).execute(),
    );
    await assert.rejects(redeem(token, 'apr_moved'), { code: 'mail-link.changed' });
    await house.storage.transaction((transaction) =>
      transaction.updateTable('mail_links').set({ approval, seal: null }).where('approval', '=', 'apr_moved').execute(),
    );
    await assert.rejects(redeem(token, approval), { code: 'mail-link.changed' });
  });

  /** @proves mail-link.ends */
  test('who is not here gets no link, and one who has left uses none', async () => {
    assert.equal((await sent({ person: 'nobody@example.test' })).link, null);
    const left = await sent();
    await house.undeclare(left.email);
    await assert.rejects(redeem(left.token, left.approval), invalid);
  });

  /** @proves mail-link.ends */
  test('no link is made for what is decided, and one that was made then opens nothing', async () => {
    for (const change of [{ state: 'denied' }, { expires_at: house.clock.now() }]) {
      const first = await sent();
      await house.storage.db.updateTable('approvals').set(change).where('id', '=', first.approval).execute();
      await assert.rejects(redeem(first.token, first.approval), invalid);
      assert.equal((await sent({ person: first.email, approval: first.approval })).link, null);
    }
    const { email } = await sent();
    const expiresAt = house.clock.now() + MINUTE;
    const of = { person: email, approval: 'apr_nowhere', channel: 'mail', mail: 'dlv_nowhere', expiresAt };
    assert.equal(await house.people.mailLinks.make(of), null);
  });

  /** @proves mail-link.ends */
  test('what gets somebody out ends the links of their mails too: all sessions ended, and a recovery', async () => {
    const [ended, recovered, other] = [await sent(), await sent(), await sent()];
    await house.people.revokeAllSessions(ended.email, 'person:security@example.test');
    const { token } = await house.people.createSigninLink(recovered.email, { by: 'gatehouse', recovery: true });
    await house.addPasskey((await house.openLink(token)).person, createSoftwarePasskey());
    for (const each of [ended, recovered]) await assert.rejects(redeem(each.token, each.approval), invalid);
    await redeem(other.token, other.approval);
    const said = JSON.stringify(await house.records('session.revoke'));
    for (const { email, mail } of [ended, recovered])
      assert.ok(said.includes(`link for ${email} in mail ${mail} ended`));
    // A first passkey ends no link of a mail: nobody has gone.
    const first = await sent();
    await house.enrol(first.email);
    await redeem(first.token, first.approval);
  });

  /** @proves mail-link.bounded */
  test('one person has only so many links open', async () => {
    const { email } = await sent();
    for (let more = 1; more < sessionLimits.mailLinks; more++) assert.ok((await sent({ person: email })).link);
    assert.equal((await sent({ person: email })).link, null);
    house.pass(30 * MINUTE);
    assert.ok((await sent({ person: email })).link, 'what has run out makes room');
  });
});
