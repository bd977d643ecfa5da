import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { onEachDatabase } from '../people/testing/databases.ts';
import { createAgentClient } from '../testing/agent-client.ts';
import { type House, openHouse } from '../testing/house.ts';
import { createCsr } from '../testing/svid-client.ts';
import { PUBLISH_LEAD_MS } from './limits.ts';

onEachDatabase('the trust domain', (database) => {
  let house: House;
  let agent: Awaited<ReturnType<House['enrol']>>;
  const registered = (name = 'agent-a') => {
    const found = house.registry.snapshot().agents.get(name);
    assert.ok(found);
    return found;
  };
  const issue = async (name = 'agent-a') =>
    house.identity.trustDomain.issueX509({
      subject: { agent: registered(name), task: null },
      csr: createCsr().der,
      via: 'test',
    });

  before(async () => {
    house = await openHouse({ database: await database() });
    await house.furnish();
    agent = await house.enrol('agent-a');
  });
  after(() => house.close());

  /** @proves spiffe.x509-leaf */
  describe('X.509-SVIDs', () => {
    test('an agent gets one for the key of its request; it verifies, and says who it is', async () => {
      const { trustDomain } = house.identity;
      const { spiffeId, chain, thumbprint, notAfter } = await issue();
      assert.equal(spiffeId, 'spiffe://example.test/env/prod/agent/agent-a');
      const verified = await trustDomain.verifySvid(chain);
      assert.deepEqual(
        [verified.spiffeId, verified.trustDomain, verified.thumbprint, verified.notAfter],
        [spiffeId, 'example.test', thumbprint, notAfter],
      );
      assert.equal(await trustDomain.whyRefused(verified), undefined);
      assert.deepEqual(trustDomain.principalOf(spiffeId), {
        kind: 'agent',
        environment: 'prod',
        name: 'agent-a',
        task: null,
      });
      assert.ok(notAfter - house.clock.now() <= 3_600_000);
      const leaf = new X509Certificate(chain[0] as Buffer);
      assert.equal(leaf.subjectAltName, `URI:${spiffeId}`);
      assert.equal(leaf.ca, false);
      const [record] = await house.records('svid.issue');
      assert.equal(record?.agent, 'agent-a');
      assert.ok(record?.changes?.[0]?.includes(thumbprint));
    });

    test('one for a task’s tools names task and provider, and nobody whom a door lets in; a kill is the end of them', async () => {
      const { trustDomain } = house.identity;
      const client = await createAgentClient(house, await house.enrol('agent-t'));
      const { authorization_details: details } = await client.startTask();
      const task: string = details[0].task;
      const order = { environment: 'prod', agent: 'agent-t', task, provider: 'vault' };
      const { spiffeId, chain, key, notAfter } = await trustDomain.issueForTools({
        ...order,
        expiresAt: house.clock.now() + 300_000,
      });
      assert.equal(spiffeId, `spiffe://example.test/env/prod/agent/agent-t/task/${task}/credential/vault`);
      assert.ok(notAfter <= house.clock.now() + 300_000);
      const pems = chain.match(/-----BEGIN [^-]+-----[^-]+-----END [^-]+-----\n/g) ?? [];
      const certificates = pems.map((each) => new X509Certificate(each));
      assert.equal(certificates[0]?.checkPrivateKey(createPrivateKey(key)), true);
      const verified = await trustDomain.verifySvid(certificates.map(({ raw }) => raw));
      assert.equal(trustDomain.principalOf(spiffeId), undefined);
      assert.match((await trustDomain.whyRefused(verified)) ?? '', /names nobody here/);
      for (const wrong of [{ agent: 'agent-z' }, { task: 'tsk_0' }])
        await assert.rejects(trustDomain.issueForTools({ ...order, ...wrong, expiresAt: house.clock.now() + 300_000 }));
      // The fence moves in the database alone, as it does while the news of a kill is on its way.
      await house.storage.transaction((transaction) => house.storage.bumpFence(transaction, 'agent:agent-t'));
      await assert.rejects(trustDomain.issueForTools({ ...order, expiresAt: house.clock.now() + 300_000 }), {
        code: 'agent.changed',
      });
      await house.registry.setAgentState('agent-t', 'suspended', 'gatehouse');
      await house.settled();
      await assert.rejects(trustDomain.issueForTools({ ...order, expiresAt: house.clock.now() + 300_000 }));
    });

    test('one for a task names the task and ends with it', async () => {
      const client = await createAgentClient(house, agent);
      const { authorization_details: details } = await client.startTask();
      const task = await house.registry.task(details[0].task);
      assert.ok(task);
      house.pass(3_000_000);
      await house.settled();
      const { trustDomain } = house.identity;
      const issued = await trustDomain.issueX509({
        subject: { agent: registered(), task },
        csr: createCsr().pem,
        via: 'test',
      });
      assert.equal(issued.spiffeId, `${registered().spiffeId}/task/${task.id}`);
      assert.ok(issued.notAfter <= task.expiresAt);
      const verified = await trustDomain.verifySvid(issued.chain);
      assert.equal(await trustDomain.whyRefused(verified), undefined);
      await house.registry.endTask(task.id, 'gatehouse');
      await house.settled();
      assert.match((await trustDomain.whyRefused(verified)) ?? '', /is over/);
      await assert.rejects(
        trustDomain.issueX509({ subject: { agent: registered(), task }, csr: createCsr().der, via: 'test' }),
        { code: 'task.over' },
      );
    });

    /** @proves law-6.issuance */
    test('a kill that this replica has not heard of yet is seen by the record, and nothing is made', async () => {
      await house.enrol('agent-k');
      const before = registered('agent-k');
      const svid = await issue('agent-k');
      const verified = await house.identity.trustDomain.verifySvid(svid.chain);
      const count = (await house.records('svid.issue')).length;
      // The fence moves in the database alone, as it does while the news of a kill is on its way.
      await house.storage.transaction((transaction) => house.storage.bumpFence(transaction, 'agent:agent-k'));
      await assert.rejects(
        house.identity.trustDomain.issueX509({
          subject: { agent: before, task: null },
          csr: createCsr().der,
          via: 'test',
        }),
        { code: 'agent.changed' },
      );
      assert.equal((await house.records('svid.issue')).length, count);
      await house.registry.setAgentState('agent-k', 'suspended', 'gatehouse');
      await house.settled();
      assert.match((await house.identity.trustDomain.whyRefused(verified)) ?? '', /suspended/);
      await assert.rejects(issue('agent-k'), { code: 'agent.suspended' });
      await house.registry.setAgentState('agent-k', 'active', 'gatehouse');
      await house.settled();
      assert.match((await house.identity.trustDomain.whyRefused(verified)) ?? '', /changed since/);
    });

    test('what cannot be recorded is not made', async () => {
      house.failRecording(new Error('the disk is full'));
      await assert.rejects(issue(), { code: 'svid.not-recorded' });
      house.failRecording(undefined);
    });
  });

  describe('rotation of the authorities', () => {
    test('the next intermediate signs after the lead, and what the former signed verifies until it has expired', async () => {
      const { trustDomain } = house.identity;
      const first = await issue();
      const { id, signsFrom } = await trustDomain.rotate({ by: 'gatehouse' });
      assert.ok(signsFrom > house.clock.now());
      assert.deepEqual(await trustDomain.rotate({ by: 'gatehouse' }), { id, signsFrom });
      assert.ok((await issue()).chain[1]?.equals(first.chain[1] as Buffer));
      house.pass(PUBLISH_LEAD_MS + 1_000);
      await house.settled();
      const second = await issue();
      assert.ok(!second.chain[1]?.equals(first.chain[1] as Buffer));
      await trustDomain.verifySvid(first.chain);
      await trustDomain.verifySvid(second.chain);
    });

    test('a compromised one is destroyed: nothing under it verifies here, and its root leaves the bundle', async () => {
      const { trustDomain } = house.identity;
      const old = await issue();
      const before = await trustDomain.bundle();
      await trustDomain.rotate({ by: 'gatehouse', compromised: true });
      await assert.rejects(trustDomain.verifySvid(old.chain), { code: 'svid.untrusted' });
      const now = await trustDomain.bundle();
      assert.ok((now.sequence ?? 0) > (before.sequence ?? 0));
      assert.equal(now.roots.length, 1);
      assert.ok(!now.roots[0]?.der.equals(before.roots[0]?.der as Buffer));
      await trustDomain.verifySvid((await issue()).chain);
    });
  });

  test('an intermediate that has run out signs nothing; the next one, where there can be one, signs at once', async (t) => {
    const late = await openHouse({ database: await database() });
    t.after(() => late.close());
    await late.furnish();
    await late.enrol('agent-a');
    const { trustDomain } = late.identity;
    const make = async () =>
      trustDomain.issueX509({
        subject: { agent: late.registry.snapshot().agents.get('agent-a') as never, task: null },
        csr: createCsr().der,
        via: 'test',
      });
    await make();
    const before = (await late.records('svid.issue')).length;
    late.pass(31 * 86_400_000);
    await late.settled();
    await assert.rejects(make(), { code: 'trust-domain.authority-expired', message: /gatehouse trust-domain rotate/ });
    assert.equal((await late.records('svid.issue')).length, before, 'what was not made is not recorded as made');
    const { signsFrom } = await trustDomain.rotate({ by: 'person:owner@example.test' });
    assert.ok(signsFrom <= late.clock.now());
    assert.ok((await make()).notAfter > late.clock.now());
  });
});
