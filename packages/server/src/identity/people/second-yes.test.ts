import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { SecondYesStatement } from '@gatehouse/protocol';
import { secondYesIn } from '@gatehouse/verifier';
import type { RequestOptions, SoftwarePasskey } from '../../../../sdk/src/software-passkey.ts';
import { canonicalJson, type Json } from '../../platform/index.ts';
import { requireAsAsked, sealAsked } from './second-yes.ts';
import { onEachDatabase } from './testing/databases.ts';
import { type House, ORIGIN, openHouse } from './testing/house.ts';

const [ANN, BOB] = ['ann@example.test', 'bob@example.test'];
const statement: SecondYesStatement = {
  ...{ act: 'lease.drop', id: 'lse_1', provider: 'orders', name: 'gh_1', agent: 'agent-a', task: 'tsk_1' },
  ...{ environment: 'prod', remainsUntil: '2026-01-01T00:15:00.000Z', reason: 'the database is gone' },
  ...{ askedBy: `person:${ANN}`, askedAt: '2026-01-01T00:00:00.000Z' },
};

onEachDatabase('a second person’s yes', (database) => {
  let house: House;
  const passkeys = new Map<string, SoftwarePasskey>();

  before(async () => {
    house = await openHouse({ database: await database() });
    for (const email of [ANN, BOB]) {
      await house.declare(email, 'security', 'admin');
      passkeys.set(email, (await house.enrol(email)).passkey);
    }
  });
  after(() => house.close());

  async function signed(person: string, of: SecondYesStatement = statement) {
    const { nonce, options } = await house.people.secondYes.options(person, of);
    const assertion = passkeys.get(person)?.assert(options as unknown as RequestOptions, ORIGIN);
    return { nonce, assertion: { ...assertion } as unknown as Json };
  }
  const said = (person: string, answer: Awaited<ReturnType<typeof signed>>, of: SecondYesStatement = statement) =>
    house.people.secondYes.said(person, of, answer);
  const count = (yes: Awaited<ReturnType<typeof said>>, of: SecondYesStatement = statement) =>
    house.storage.transaction((transaction) => yes.to(transaction, of));

  /** @proves second-yes.signed */
  test('counts once, within five minutes, for exactly what was shown, of somebody else than who asked, and verifies without us', async () => {
    await assert.rejects(house.people.secondYes.options(ANN, statement), { code: 'second-yes.own' });
    const answer = await signed(BOB);
    await assert.rejects(said(ANN, answer), { code: 'second-yes.own' });

    for (const change of [
      { id: 'lse_2' },
      { provider: 'other' },
      { name: 'gh_2' },
      { remainsUntil: null },
      { reason: 'something else' },
      { askedBy: 'operator' },
    ] as Partial<SecondYesStatement>[]) {
      const other = { ...statement, ...change } as SecondYesStatement;
      await assert.rejects(said(BOB, answer, other), { code: 'passkey.not-verified' }, Object.keys(change).join());
      // It has changed between the look and the transaction.
      await assert.rejects(count(await said(BOB, answer), other), { code: 'second-yes.changed' });
    }
    await assert.rejects(said(BOB, { ...answer, nonce: 'AAAA' }), { code: 'passkey.not-verified' });

    const line = await count(await said(BOB, answer));
    await assert.rejects(count(await said(BOB, answer)), { code: 'second-yes.used' });
    const record = {
      ...{ kind: 'change', operation: 'lease.drop', time: '2026-01-01T00:05:00.000Z' },
      ...{ actor_chain: [{ sub: `person:${BOB}` }], changes: ['lease lse_1 of orders is GIVEN UP', line] },
    };
    const report = await secondYesIn(Buffer.from(canonicalJson(record)));
    assert.equal(report?.ok, true, JSON.stringify(report));

    const late = await signed(BOB);
    house.pass(5 * 60_000 + 1);
    await assert.rejects(count(await said(BOB, late)), { code: 'second-yes.used' });
    const [former, newer] = [await signed(BOB), await signed(BOB)];
    await assert.rejects(count(await said(BOB, former)), { code: 'second-yes.used' }, 'the newest one only');
    await count(await said(BOB, newer));
  });

  /** @proves second-yes.asked */
  test('nobody asks in another’s name by the database alone', () => {
    const seal = sealAsked(house.sealer, statement);
    requireAsAsked(house.sealer, statement, seal);
    const forged = { ...statement, askedBy: `person:${BOB}` };
    for (const [of, by] of [
      [forged, seal],
      [{ ...statement, reason: 'x' }, seal],
      [{ ...statement, id: 'lse_2' }, seal],
      [statement, null],
    ] as [SecondYesStatement, Uint8Array | null][])
      assert.throws(() => requireAsAsked(house.sealer, of, by), { code: 'second-yes.not-as-asked' });
  });

  test('whose passkey a link of whoever asked has made is no second person', async () => {
    const cal = 'cal@example.test';
    await house.declare(cal, 'security');
    house.pass(8 * 86_400_000);
    const link = await house.people.createSigninLink(cal, { by: `person:${ANN}` });
    const { person } = await house.openLink(link.token);
    const { createSoftwarePasskey } = await import('../../../../sdk/src/software-passkey.ts');
    passkeys.set(cal, createSoftwarePasskey());
    await house.addPasskey(person, passkeys.get(cal) as SoftwarePasskey);
    await assert.rejects(count(await said(cal, await signed(cal))), { code: 'passkey.no-second-person' });

    // What the host's token asks for takes two who agree, and they are two people.
    const asked = { act: 'retention.agree', id: 'all', records: 1, digest: 'sha256-x', reason: 'short' } as const;
    const class_: SecondYesStatement = { ...asked, askedBy: 'operator' };
    const agree = async (who: string, before: string[]) => {
      const yes = await said(who, await signed(who, class_), class_);
      return house.storage.transaction((transaction) => yes.to(transaction, class_, before));
    };
    for (const [first, second] of [
      [ANN, cal],
      [cal, ANN],
    ] as const)
      await assert.rejects(agree(second, [`person:${first}`]), { code: 'passkey.no-second-person' });
    await agree(BOB, [`person:${ANN}`]);
    await agree(cal, [`person:${BOB}`]);
  });
});
