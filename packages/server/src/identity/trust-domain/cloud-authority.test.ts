import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { after, before, test } from 'node:test';
import { onEachDatabase } from '../people/testing/databases.ts';
import { type House, openHouse } from '../testing/house.ts';
import { createCsr } from '../testing/svid-client.ts';
import { CLOUD_LEAD_MS } from './limits.ts';

/** @proves clouds.own-authority */
onEachDatabase('the authority that clouds trust', (database) => {
  let house: House;
  const by = 'person:owner@example.test';
  const own = () => house.identity.cloudAuthority;
  const keys = async () => {
    const all = await house.identity.keyInventory.list();
    return all.find(({ purpose }) => purpose === 'x509-clouds')?.keys.map(({ kid, state }) => `${state} ${kid}`) ?? [];
  };
  const rotate = (compromised: boolean) => house.identity.keyInventory.rotate('x509-clouds', { by, compromised });
  const anchors = async () =>
    (await own().anchors())
      .split(/(?<=-----END CERTIFICATE-----\n)/)
      .filter((each) => each.trim() !== '')
      .map((each) => new X509Certificate(each));
  /** As a cloud looks at a chain: up to one of its anchors. */
  const isTaken = (chain: readonly Uint8Array[], trusted: readonly X509Certificate[]) => {
    const [leaf, ...above] = chain.map((der) => new X509Certificate(Buffer.from(der)));
    return [...trusted, ...above].some(
      (issuer) => trusted.includes(issuer) && leaf?.checkIssued(issuer) && leaf.verify(issuer.publicKey),
    );
  };

  before(async () => {
    house = await openHouse({ database: await database() });
    await house.furnish();
    await house.enrol('agent-a');
  });
  after(() => house.close());

  test('is made at first use, signs leaves alone, and Gatehouse’s own certificate for minutes', async () => {
    assert.deepEqual(await keys(), [], 'being listed makes none');
    const made = await Promise.all([own().certificate(), own().anchors(), own().certificate()]);
    assert.equal((await keys()).length, 1, 'once, by whoever is first');
    const [anchor] = await anchors();
    assert.ok(anchor?.ca);
    assert.match(anchor.subject, /CN=Gatehouse clouds/);
    assert.ok(anchor.raw.includes(Buffer.from('30060101ff020100', 'hex')), 'a path of length 0');
    assert.equal(anchor.subjectAltName, undefined, 'it is no authority of the trust domain');
    const leaf = new X509Certificate(made[0].chain[0] as Buffer);
    assert.ok(isTaken(made[0].chain, [anchor]));
    assert.deepEqual([leaf.subjectAltName, leaf.ca], ['URI:spiffe://example.test/gatehouse', false]);
    assert.ok(leaf.checkPrivateKey(made[0].privateKey));
    const life = leaf.validToDate.getTime() - house.clock.now();
    assert.ok(life > 800_000 && life <= 900_000, String(life));
    assert.notEqual(leaf.serialNumber, new X509Certificate(made[2].chain[0] as Buffer).serialNumber);
  });

  test('takes nothing that agents, tools or the house have of the trust domain, and gives nothing that the trust domain takes', async () => {
    const { trustDomain } = house.identity;
    const agent = house.registry.snapshot().agents.get('agent-a');
    assert.ok(agent);
    const svid = await trustDomain.issueX509({ subject: { agent, task: null }, csr: createCsr().der, via: 'test' });
    const server = await trustDomain.serverSvid([]);
    const roots = (await trustDomain.rootsPem())
      .split(/(?<=-----END CERTIFICATE-----\n)/)
      .filter((each) => each.trim());
    const trusted = await anchors();
    for (const { chain } of [svid, server]) {
      assert.ok(!isTaken(chain, trusted));
      // Also with whatever an agent puts in between.
      assert.ok(!isTaken([...chain, ...roots.map((pem) => new X509Certificate(pem).raw)], trusted));
      assert.ok(!isTaken([chain[0] as Buffer, ...trusted.map(({ raw }) => raw)], trusted));
    }
    const { chain } = await own().certificate();
    await assert.rejects(trustDomain.verifySvid(chain), { code: 'svid.untrusted' });
    await assert.rejects(trustDomain.verifySvid([...chain, ...trusted.map(({ raw }) => raw)]), { code: /^svid\./ });
  });

  /** @proves keys.rotation, keys.compromised */
  test('makes way for the next when clouds had a week to be told of it, or at once', async () => {
    const [first] = await keys();
    const { kid } = await rotate(false);
    assert.equal((await rotate(false)).kid, kid, 'one is waiting');
    assert.deepEqual(await keys(), [first, `next ${kid}`]);
    const both = await anchors();
    assert.equal(both.length, 2);
    assert.ok(isTaken((await own().certificate()).chain, both.slice(0, 1)));
    house.pass(CLOUD_LEAD_MS + 1_000);
    await house.settled();
    assert.deepEqual((await keys()).at(-1), `signing ${kid}`);
    assert.deepEqual(
      (await anchors()).map(({ fingerprint256 }) => fingerprint256),
      [both[1]?.fingerprint256],
    );
    assert.ok(isTaken((await own().certificate()).chain, both.slice(1)));

    const { kid: fresh } = await rotate(true);
    assert.deepEqual(await keys(), [`signing ${fresh}`], 'the others are destroyed');
    assert.ok(!isTaken((await own().certificate()).chain, both));
    const changes = (await house.records('key.rotate')).flatMap((record) => record.changes ?? []);
    assert.ok(changes.includes(`X.509 authority ${kid} destroyed`));
  });

  test('is none of the trust domain’s authorities, whatever a row of the database calls itself', async () => {
    await house.identity.trustDomain.view();
    const { db } = house.storage;
    const row = await db
      .selectFrom('signing_keys')
      .selectAll()
      .where('purpose', '=', 'x509-intermediate')
      .executeTakeFirstOrThrow();
    await db.updateTable('signing_keys').set({ purpose: 'x509-clouds' }).where('kid', '=', row.kid).execute();
    await assert.rejects(own().certificate(), /sealed under another's id/);
    await assert.rejects(own().anchors());
    await db.updateTable('signing_keys').set({ purpose: row.purpose }).where('kid', '=', row.kid).execute();
    assert.ok(await own().certificate());
  });
});
