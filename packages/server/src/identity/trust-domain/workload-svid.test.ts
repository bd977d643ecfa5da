import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { after, before, test } from 'node:test';
import type { Manifest } from '@gatehouse/protocol';
import { decodeJwt } from 'jose';
import type { Workload } from '../../registry/index.ts';
import type { IssuedCertificate } from '../client-certificate/testing/authority.ts';
import { onEachDatabase } from '../people/testing/databases.ts';
import { createTlsClient } from '../testing/certified-client.ts';
import { type ForeignIssuer, openForeignIssuer } from '../testing/foreign-issuer.ts';
import { agentManifest, type House, openHouse } from '../testing/house.ts';
import { assertCleanLog } from '../testing/refusals.ts';
import { createCsr } from '../testing/svid-client.ts';
import { trustDomainLimits } from './limits.ts';

const BY = 'person:owner@example.test';
const HOUR_MS = 3_600_000;
const TASK = { type: 'urn:gatehouse:task', template: 'support', parameters: { customer: 'cus_1' }, intent: 'ticket 7' };
const ID = 'spiffe://example.test/env/prod/workload/tickets';

/** @proves workload.svids */
onEachDatabase('a workload', (database) => {
  let house: House;
  let issuer: ForeignIssuer;

  const workload = (change: object = {}): Manifest => ({
    kind: 'Workload',
    name: 'tickets',
    owner: 'owner@example.test',
    purpose: 'ticket system',
    environment: 'prod',
    state: 'active',
    starts: ['agent-a'],
    ...change,
  });
  const rule = (name: string, change: object = {}): Manifest => ({
    kind: 'TrustRule',
    name,
    issuer: { type: 'oidc', url: issuer.url, allowPrivateAddress: true },
    claims: { sub: name },
    workload: 'tickets',
    state: 'active',
    ...change,
  });
  const proof = async (sub = 'tickets') => ({ token: await issuer.sign({ sub }) });

  interface Answer {
    status: number;
    title?: string;
    body: Record<string, unknown> & { certificates?: string[]; token?: string };
  }
  async function post(path: string, body: object, own?: IssuedCertificate): Promise<Answer> {
    const client = createTlsClient({ ca: house.mutualTlsCa as string, own });
    try {
      const response = await client.fetch(house.mutualTlsUrl + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      const answer = (await response.json()) as Answer['body'];
      return { status: response.status, ...(response.ok ? {} : { title: String(answer.title) }), body: answer };
    } finally {
      await client.close();
    }
  }
  const outcome = ({ status, title }: Answer) => (title === undefined ? status : `${status} ${title}`);

  async function x509(body: object, own?: IssuedCertificate): Promise<Answer & { own: IssuedCertificate }> {
    const { pem, privateKey } = createCsr();
    const answer = await post('/svid/x509', { csr: pem, ...body }, own);
    const chain = (answer.body.certificates ?? []).map((each) => new X509Certificate(Buffer.from(each, 'base64')));
    return {
      ...answer,
      own: {
        cert: chain.map(String).join(''),
        key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
        thumbprint: createHash('sha256')
          .update(chain[0]?.raw ?? '')
          .digest('base64url'),
      },
    };
  }
  const jwt = async (own: IssuedCertificate, audience = [house.publicUrl]) => post('/svid/jwt', { audience }, own);
  const start = async (given: object, own?: IssuedCertificate, agent = 'agent-a') =>
    outcome(await post('/workload/tasks', { agent, task: TASK, ...given }, own));
  const svid = async () => {
    const { own, ...answer } = await x509({ proof: await proof() });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    return own;
  };

  before(async () => {
    house = await openHouse({ database: await database(), mutualTls: true });
    issuer = await openForeignIssuer(house.publicUrl);
    await house.furnish();
    await house.apply(
      { kind: 'Environment', name: 'dev', production: false },
      agentManifest('agent-a'),
      agentManifest('agent-other'),
      workload(),
      rule('tickets'),
      rule('itself', { workload: undefined, agent: 'agent-a' }),
    );
  });
  after(async () => {
    assertCleanLog(house);
    await issuer.close();
    await house.close();
  });

  test('gets SVIDs for what its rule takes, of an hour at most, recorded before they leave; one proof gets one', async () => {
    const token = await proof();
    const { status, body, own } = await x509({ proof: token });
    assert.deepEqual([status, body.spiffeId], [200, ID]);
    const leaf = new X509Certificate(own.cert);
    assert.equal(leaf.subjectAltName, `URI:${ID}`);
    assert.ok(leaf.validToDate.getTime() <= house.clock.now() + HOUR_MS);
    const [record] = (await house.records('svid.issue')).slice(-1);
    assert.match(JSON.stringify(record), /via trust rule tickets \(http.* tickets\), epoch 1/);
    assert.equal(outcome(await x509({ proof: token })), '403 outside-token.used');
    assert.equal(await start({ proof: token }), '403 outside-token.used');

    const given = await post('/svid/jwt', { audience: ['https://elsewhere.test'], proof: await proof() });
    assert.equal(decodeJwt(given.body.token as string).sub, ID);
  });

  /** @proves spiffe.renewal-bound */
  test('renews it for a day after its proof, and then no more without another', async () => {
    const { epoch } = await house.registry.activeWorkload('tickets');
    const provenAt = Date.now() - trustDomainLimits.svidRenewalSeconds * 1000;
    const old = await house.authority.issue({ uris: [ID], epoch, provenAt });
    assert.equal(outcome(await x509({}, old)), '403 svid.prove-again');
    assert.equal(outcome(await jwt(old)), '403 svid.prove-again');
    assert.equal(outcome(await x509({ proof: await proof() }, old)), 200);
  });

  test('loses no proof to a request that cannot be answered, nor by reading bundles', async () => {
    const token = await proof();
    assert.equal((await post('/svid/x509', { csr: 'nonsense', proof: token })).status, 400);
    assert.equal((await post('/svid/bundles', { proof: token })).status, 200);
    assert.equal((await x509({ proof: token })).status, 200);
  });

  test('renews its X.509-SVID with it, and starts tasks with it: those of the agents that it may', async () => {
    const first = await svid();
    const renewed = await x509({}, first);
    assert.deepEqual([renewed.status, renewed.body.spiffeId], [200, ID]);
    assert.equal(await start({}, renewed.own), 200);
    assert.equal(await start({}, renewed.own), 200);
    assert.equal(await start({}, renewed.own, 'agent-other'), '403 workload.may-not-start');
    const [record] = (await house.records('workload.prove')).slice(-1);
    assert.match(
      JSON.stringify(record),
      /by x509-svid.*proven: spiffe:\/\/example\.test\/env\/prod\/workload\/tickets/,
    );
  });

  test('starts one task with a JWT-SVID, which gets it no other SVID and is for this server alone', async () => {
    const own = await svid();
    const token = async (audience?: string[]) => ({ token: (await jwt(own, audience)).body.token as string });
    const once = await token();
    assert.equal(outcome(await x509({ proof: once })), '403 svid.by-jwt-svid');
    assert.equal(await start({ proof: once }), 200);
    assert.equal(await start({ proof: once }), '403 svid.refused');
    assert.equal(await start({ proof: await token(['https://elsewhere.test']) }), '401 svid.audience');
    assert.equal(await start({ proof: await token([house.publicUrl, 'https://elsewhere.test']) }), '403 svid.refused');
  });

  test('is no agent with its SVID, and no agent is a workload', async () => {
    const own = await svid();
    const client = createTlsClient({ ca: house.mutualTlsCa as string, own });
    for (const client_id of ['agent-a', 'tickets', ID]) {
      const body = new URLSearchParams({ grant_type: 'client_credentials', client_id });
      const headers = { 'content-type': 'application/x-www-form-urlencoded' };
      const response = await client.fetch(`${house.mutualTlsUrl}/oauth/token`, {
        method: 'POST',
        headers,
        body: String(body),
      });
      assert.equal(response.status, 401);
      await response.body?.cancel();
    }
    await client.close();
    const ofAgent = await house.authority.issue({ uris: ['spiffe://example.test/env/prod/agent/agent-a'] });
    assert.equal(await start({}, ofAgent), '403 workload.not-one');
    assert.equal(outcome(await x509({ proof: await proof('itself') })), '403 workload.not-one');
    assert.equal(outcome(await x509({})), '401 svid.no-proof');
    assert.equal(await start({}), '401 workload.no-proof');
  });

  test('that is not one of ours, or of another environment, is nobody, whoever has signed for it', async () => {
    for (const path of ['/env/prod/workload/nobody', '/env/dev/workload/tickets']) {
      const own = await house.authority.issue({ uris: [`spiffe://example.test${path}`] });
      assert.match(String(await start({}, own)), /^(403 svid\.refused|404 workload\.unknown)$/);
      assert.match(String(outcome(await x509({}, own))), /^(403 svid\.refused|404 workload\.unknown)$/);
    }
  });

  /** @proves law-6.workload-svids */
  test('that is suspended, killed or retired gets none and does nothing with those it has, also when it is active again', async () => {
    const own = await svid();
    const token = { token: (await jwt(own)).body.token as string };
    for (const options of [{}, { killed: true }]) {
      await house.registry.setWorkloadState('tickets', 'suspended', BY, options);
      const code = 'killed' in options ? 'killed' : 'suspended';
      assert.equal(outcome(await x509({}, own)), '403 svid.refused');
      assert.equal(outcome(await jwt(own)), '403 svid.refused');
      assert.equal(outcome(await x509({ proof: await proof() })), `403 workload.${code}`);
      assert.equal(await start({}, own), '403 svid.refused');
      assert.equal(await start({ proof: token }), '403 svid.refused');
    }
    await house.registry.setWorkloadState('tickets', 'active', BY);
    await house.settled();
    assert.equal(await start({}, own), '403 svid.refused');
    assert.equal(outcome(await x509({}, own)), '403 svid.refused');
    assert.equal(await start({ proof: token }), '403 svid.refused');
    assert.equal(await start({}, await svid()), 200);
  });

  test('that is suspended, moved or removed by an apply and put back is another: its old SVIDs stay dead', async () => {
    let own = await svid();
    await house.apply(workload({ state: 'suspended' }));
    assert.equal(await start({}, own), '403 svid.refused');
    await house.apply(workload());
    assert.equal(await start({}, own), '403 svid.refused');
    own = await svid();
    await house.apply(workload({ environment: 'dev', starts: [] }));
    assert.equal(outcome(await x509({}, own)), '403 svid.refused');
    await house.apply(workload());
    assert.equal(await start({}, own), '403 svid.refused');
    own = await svid();
    await house.apply(workload({ purpose: 'the same, in other words' }));
    assert.equal(await start({}, own), 200);
    const all = await house.registry.exportManifests();
    const without = all.filter(({ kind }) => kind !== 'Workload' && kind !== 'TrustRule');
    await house.registry.apply(without, { prune: true, by: 'gatehouse' });
    await house.settled();
    assert.equal(await start({}, own), '403 svid.refused');
    await house.registry.apply(all, { prune: true, by: 'gatehouse' });
    await house.settled();
    assert.equal(await start({}, own), '403 svid.refused');
    assert.equal(await start({}, await svid()), 200);
  });

  test('gets none while its rule is suspended', async () => {
    await house.apply(rule('tickets', { state: 'suspended' }));
    assert.equal(outcome(await x509({ proof: await proof() })), '403 trust.no-match');
    await house.apply(rule('tickets'));
    assert.equal((await x509({ proof: await proof() })).status, 200);
  });

  test('that changes, or whose rule changes, while an SVID of it is made gets none', async () => {
    const fences = () => {
      const { fences } = house.registry.snapshot();
      return ['workload:tickets', 'trust-rule:tickets'].map((key) => ({ key, version: fences.get(key) ?? 0 }));
    };
    const changes = [
      () => house.registry.setWorkloadState('tickets', 'suspended', BY),
      () => house.registry.setWorkloadState('tickets', 'active', BY),
      () => house.apply(rule('tickets', { description: 'changed' })),
      () => house.apply(workload({ purpose: 'changed' })),
    ];
    for (const change of changes) {
      const subject = { workload: (await house.registry.workload('tickets')) as Workload, guards: fences() };
      const count = (await house.records('svid.issue')).length;
      await change();
      for (const issue of [
        () => house.identity.trustDomain.issueX509({ subject, csr: createCsr().pem, via: 'test' }),
        () => house.identity.trustDomain.issueJwt({ subject, audience: ['https://elsewhere.test'], via: 'test' }),
      ])
        await assert.rejects(issue(), { code: /^(workload|trust-rule)\.changed$/ });
      assert.equal((await house.records('svid.issue')).length, count);
    }
  });
});
