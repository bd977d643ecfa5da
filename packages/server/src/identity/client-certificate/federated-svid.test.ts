import assert from 'node:assert/strict';
import { generateKeyPairSync, randomUUID, X509Certificate } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, beforeEach, describe, test } from 'node:test';
import type { Manifest } from '@gatehouse/protocol';
import * as dpop from 'dpop';
import type { PublishedKey } from '../keys/signing-keys.ts';
import { onEachDatabase } from '../people/testing/databases.ts';
import { supportTask } from '../testing/agent-client.ts';
import { authenticate, claimsOf } from '../testing/calls.ts';
import { type CertifiedClient, createCertifiedClient } from '../testing/certified-client.ts';
import { agentManifest, type House, openHouse } from '../testing/house.ts';
import { assertCleanLog } from '../testing/refusals.ts';
import { createCsr } from '../testing/svid-client.ts';
import { signCompactJws } from '../tokens/jws.ts';
import { makeBundle } from '../trust-domain/bundle.ts';
import { type Authority, createAuthority, type IssuedCertificate } from './testing/authority.ts';

const HOUR_MS = 3_600_000;
const OWNER = 'person:owner@example.test';
const foreignId = (path: string, domain = 'foreign.test') => `spiffe://${domain}${path}`;

/** Trust domains of others, each with its bundle endpoint. */
async function openForeign(...names: string[]) {
  const authorities = new Map<string, Authority>();
  const documents = new Map<string, unknown>();
  for (const name of names) {
    const authority = await createAuthority(name, {
      ...(name === 'early.test' && { intermediateEndsAt: Date.now() + 4 * HOUR_MS }),
    });
    authorities.set(name, authority);
    documents.set(`/${name}`, bundleOf(name, authority, 1));
  }
  const server = createServer((request, response) => response.end(JSON.stringify(documents.get(request.url ?? ''))));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    of: (name: string) => authorities.get(name) as Authority,
    declare: (name: string): Manifest => ({
      kind: 'TrustDomain',
      name,
      bundleUrl: `${base}/${name}`,
      allowPrivateAddress: true,
    }),
    serve: (name: string, document: unknown) => documents.set(`/${name}`, document),
    close: () => new Promise((resolve) => server.close(resolve)),
  };
}

const jwtKeys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const jwtKey = { ...jwtKeys.publicKey.export({ format: 'jwk' }), kid: 'k1' } as PublishedKey;

const bundleOf = (trustDomain: string, authority: Authority | undefined, sequence: number) => ({
  ...makeBundle({
    trustDomain,
    sequence,
    roots: authority ? [new X509Certificate(authority.root).raw] : [],
    jwtKeys: authority ? [jwtKey] : [],
  }).document,
  spiffe_refresh_hint: 60,
});

/** @proves spiffe.x509-by-rule */
onEachDatabase('an X.509-SVID of a federated trust domain', (database) => {
  let house: House;
  let foreign: Awaited<ReturnType<typeof openForeign>>;
  let closers: (() => Promise<unknown>)[] = [];

  const rule = (name: string, change: object = {}): Manifest => ({
    kind: 'TrustRule',
    name,
    issuer: { type: 'spiffe', trustDomain: 'foreign.test' },
    claims: { sub: foreignId(`/${name}`) },
    agent: 'agent-a',
    state: 'active',
    ...change,
  });
  const issue = (path: string, domain = 'foreign.test', change: object = {}) =>
    foreign.of(domain).issue({ uris: [foreignId(path, domain)], ...change });
  async function connect(own?: IssuedCertificate, clientId = 'agent-a'): Promise<CertifiedClient> {
    const client = await createCertifiedClient(house, { own, clientId });
    closers.push(client.close);
    return client;
  }
  const refused = async (client: CertifiedClient, error: string, says: RegExp) => {
    const { status, body } = await client.post();
    assert.deepEqual([status, body.error], [error === 'invalid_client' ? 401 : 400, error], JSON.stringify(body));
    assert.match(String(body.error_description), says);
    assert.equal(body.access_token, undefined);
  };
  const fetchBundles = async () => {
    house.pass(61_000);
    await house.settled();
    await house.identity.trustDomain.tick();
    await house.settled();
  };

  before(async () => {
    foreign = await openForeign('foreign.test', 'other.test', 'early.test', 'stranger.test');
    house = await openHouse({ database: await database(), mutualTls: true });
    await house.furnish();
    await house.apply(
      { kind: 'Environment', name: 'dev', production: false },
      foreign.declare('foreign.test'),
      foreign.declare('other.test'),
      foreign.declare('early.test'),
      agentManifest('agent-a'),
      agentManifest('agent-b'),
      agentManifest('agent-dev', { environment: 'dev' }),
      agentManifest('agent-stopped'),
      rule('a'),
      rule('early', {
        issuer: { type: 'spiffe', trustDomain: 'early.test' },
        claims: { sub: foreignId('/a', 'early.test') },
      }),
      rule('dev', { agent: 'agent-dev' }),
      rule('stopped', { agent: 'agent-stopped' }),
      rule('narrow', { claims: { sub: foreignId('/narrow'), team: 'x' } }),
      rule('going'),
      rule('moving'),
      {
        kind: 'Workload',
        name: 'tickets',
        owner: 'owner@example.test',
        purpose: 'ticket system',
        environment: 'prod',
        state: 'active',
        starts: ['agent-a'],
      },
      rule('tickets', { agent: undefined, workload: 'tickets' }),
    );
    await house.identity.trustDomain.tick();
    await house.settled();
  });
  after(async () => {
    assertCleanLog(house);
    for (const close of closers) await close();
    await house.close();
    await foreign.close();
  });
  beforeEach(async () => {
    for (const close of closers) await close();
    closers = [];
  });

  test('gets a token that is bound to it, as the agent that a rule lets it stand for; the use and the rule are recorded', async () => {
    const own = await issue('/a');
    for (const clientId of ['agent-a', 'spiffe://example.test/env/prod/agent/agent-a', foreignId('/a')]) {
      const client = await connect(own, clientId);
      const { access_token: token } = await client.startTask();
      const claims = claimsOf(token);
      assert.deepEqual([claims.client_id, claims.cnf], ['agent-a', { 'x5t#S256': own.thumbprint }]);
      const { status, body } = await client.call(token);
      assert.deepEqual([status, body.agent], [200, 'agent-a'], body.detail);
      assert.equal((await client.introspect(token)).active, true);
    }
    const [record] = (await house.records('token.issue')).slice(-1);
    assert.match(
      record?.changes[0] ?? '',
      /via tls_client_auth by trust rule a \(spiffe:\/\/foreign\.test\/a\), epoch \d+$/,
    );
    const use = await house.storage.db
      .selectFrom('trust_rule_uses')
      .selectAll()
      .where('rule', '=', 'a')
      .executeTakeFirst();
    assert.equal(use?.uses, 3);
  });

  test('keeps its token to itself: over no certificate, another of the same name, or another of the trust domain it is nothing', async () => {
    const { access_token: token } = await (await connect(await issue('/a'))).startTask();
    for (const [thief, code] of [
      [await connect(), 'token.certificate-missing'],
      [await connect(await issue('/a')), 'token.other-certificate'],
      [await connect(await issue('/nobody')), 'token.other-certificate'],
      [await connect(await issue('/dev')), 'token.other-certificate'],
    ] as const)
      assert.equal((await thief.call(token)).body.code, code);
  });

  test('with a DPoP proof gets a token that is bound to both', async () => {
    const keys = await dpop.generateKeyPair('ES256');
    const client = await connect(await issue('/a'));
    const proof = await dpop.generateProof(keys, `${house.mutualTlsUrl}/oauth/token`, 'POST');
    const { body } = await client.post({}, { dpop: proof });
    assert.deepEqual(Object.keys(claimsOf(body.access_token as string).cnf).sort(), ['jkt', 'x5t#S256']);
  });

  describe('lets nobody in', () => {
    const cases: [string, () => Promise<IssuedCertificate>, RegExp][] = [
      [
        'when its trust domain is not federated',
        () => issue('/a', 'stranger.test'),
        /certificate is refused.*stranger\.test is neither/,
      ],
      [
        'when it claims an ID of another federated trust domain than its authority’s',
        () => foreign.of('other.test').issue({ uris: [foreignId('/a')] }),
        /certificate is refused.*has another SPIFFE ID than that of the trust domain/,
      ],
      [
        'when it claims one of ours',
        () => foreign.of('foreign.test').issue({ uris: ['spiffe://example.test/env/prod/agent/agent-a'] }),
        /certificate is refused.*has another SPIFFE ID than that of the trust domain/,
      ],
      ['when no rule names it', () => issue('/nobody'), /No trust rule lets spiffe:\/\/foreign\.test\/nobody in/],
      ['when its rule is for another trust domain', () => issue('/a', 'other.test'), /No trust rule/],
      ['when its rule asks for a claim that only a token has', () => issue('/narrow'), /No trust rule/],
      ['with a name that only begins or ends like that of the rule', () => issue('/a/b'), /No trust rule/],
      [
        'with two names, one of them that of the rule',
        () => foreign.of('foreign.test').issue({ uris: [foreignId('/a'), foreignId('/b')] }),
        /2 URI SANs/,
      ],
      ['without a name', () => foreign.of('foreign.test').issue({ dns: ['a.foreign.test'] }), /0 URI SANs/],
      [
        'when it has expired',
        () =>
          issue('/a', 'foreign.test', {
            notBefore: house.clock.now() - 2 * HOUR_MS,
            notAfter: house.clock.now() - HOUR_MS,
          }),
        /certificate is refused.*expired/,
      ],
      [
        'when it is that of an authority',
        () => issue('/a', 'foreign.test', { isAuthority: true }),
        /certificate is refused.*authority/,
      ],
    ];
    for (const [what, make, says] of cases)
      test(what, async () => refused(await connect(await make()), 'invalid_client', says));

    test('as another agent than its rule names, one of another environment included, and tells nothing of who there is', async () => {
      const texts = new Set();
      for (const [path, clientId] of [
        ['/a', 'agent-b'],
        ['/a', 'agent-dev'],
        ['/dev', 'agent-a'],
        ['/dev', 'spiffe://example.test/env/prod/agent/agent-dev'],
        ['/a', foreignId('/dev')],
        ['/a', 'agent-nobody'],
      ] as const) {
        const { status, body } = await (await connect(await issue(path), clientId)).post();
        assert.deepEqual([status, body.error], [401, 'invalid_client'], `${path} ${clientId}`);
        texts.add(body.error_description);
      }
      assert.equal(texts.size, 1);
      const strangers = new Set();
      for (const clientId of ['agent-a', 'agent-nobody', foreignId('/nobody')])
        strangers.add((await (await connect(await issue('/nobody'), clientId)).post()).body.error_description);
      assert.equal(strangers.size, 1);
    });

    test('when nobody named its rule a rule of this trust domain’s own SVIDs', async () => {
      const own = {
        ...rule('own', { claims: { sub: 'spiffe://example.test/env/prod/agent/agent-b' } }),
        issuer: { type: 'spiffe', trustDomain: 'example.test' },
      } as Manifest;
      await assert.rejects(house.apply(own), /no TrustDomain "example\.test"/);
      // Even one that stands in the database is asked about nobody of ours.
      await insert('own', own);
      const { status, body } = await (
        await connect(
          await house.authority.issue({ uris: ['spiffe://example.test/env/prod/agent/agent-b'] }),
          'agent-a',
        )
      ).post();
      assert.deepEqual([status, body.error], [401, 'invalid_client']);
      await remove('own');
    });

    test('while two rules see in it two agents; such rules are not applied either', async () => {
      const second = rule('second', { claims: { sub: foreignId('/a') }, agent: 'agent-b' });
      await assert.rejects(house.apply(second), /could match this rule and/);
      const client = await connect(await issue('/a'));
      const { access_token: token } = await client.startTask();
      await insert('second', second);
      for (const clientId of ['agent-a', 'agent-b', foreignId('/a')])
        await refused(await connect(await issue('/a'), clientId), 'invalid_client', /More than one trust rule/);
      assert.equal((await client.call(token)).body.code, 'token.certificate-refused');
      await remove('second');
      assert.equal((await client.call(token)).status, 200);
    });
  });

  test('that lets nobody in is recorded, once verified', async () => {
    await (await connect(await issue('/recorded'))).post();
    const [record] = (await house.records('trust.refuse')).slice(-1);
    assert.match(JSON.stringify(record), /X\.509-SVID spiffe:\/\/foreign\.test\/recorded/);
    const count = (await house.records('trust.refuse')).length;
    await (await connect(await issue('/recorded', 'stranger.test'))).post();
    assert.equal((await house.records('trust.refuse')).length, count);
  });

  /** @proves law-6.federation */
  test('mints nothing for a suspended or killed agent, and its connection ends', async () => {
    const client = await connect(await issue('/stopped'), 'agent-stopped');
    const { access_token: token } = await client.startTask();
    assert.equal((await client.call(token)).status, 200);
    await house.registry.setAgentState('agent-stopped', 'suspended', OWNER, { killed: true });
    await house.settled();
    await refused(client, 'unauthorized_client', /killed/);
    assert.equal((await client.call(token)).status, 401);
  });

  test('gets no SVID of this trust domain, neither for itself nor for its token', async () => {
    const client = await connect(await issue('/a'));
    const { access_token: token } = await client.startTask();
    for (const headers of [{}, { authorization: `Bearer ${token}` }] as Record<string, string>[]) {
      const response = await client.fetch(`${house.mutualTlsUrl}/svid/x509`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify({ csr: createCsr().pem }),
      });
      assert.equal(response.status, 403);
    }
    assert.equal((await house.records('svid.issue')).length, 0);
  });

  /** @proves spiffe-client-auth.by-rule */
  describe('or its JWT-SVID as client assertion', () => {
    let keys: dpop.KeyPair;
    before(async () => {
      keys = await dpop.generateKeyPair('ES256');
    });
    const svid = (path: string, change: object = {}) => {
      const now = Math.floor(house.clock.now() / 1000);
      const claims = {
        sub: foreignId(path),
        aud: house.publicUrl,
        exp: now + 300,
        iat: now,
        jti: randomUUID(),
        ...change,
      };
      return signCompactJws({ alg: 'ES256', kid: 'k1', typ: 'JWT' }, claims, jwtKeys.privateKey);
    };
    const ask = async (assertion: string, form: Record<string, string | undefined> = {}) => {
      const proof = await dpop.generateProof(keys, `${house.mutualTlsUrl}/oauth/token`, 'POST');
      const client = await connect();
      const client_assertion_type = 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe';
      return client.post(
        { client_id: undefined, client_assertion_type, client_assertion: assertion, ...form },
        { dpop: proof },
      );
    };

    test('proves the agent of its rule, once, and the token ends with the rule', async () => {
      const sent = svid('/going');
      const { status, body } = await ask(sent);
      assert.equal(status, 200, JSON.stringify(body));
      const token = body.access_token as string;
      assert.equal(claimsOf(token).client_id, 'agent-a');
      const [record] = (await house.records('token.issue')).slice(-1);
      assert.match(
        record?.changes[0] ?? '',
        /via spiffe_jwt by trust rule going \(spiffe:\/\/foreign\.test\/going\), epoch/,
      );
      assert.match(String((await ask(sent)).body.error_description), /used before/);
      for (const client_id of ['agent-a', foreignId('/going')])
        assert.equal((await ask(svid('/going'), { client_id })).status, 200);
      const call = async () =>
        authenticate(house, {
          authorization: `DPoP ${token}`,
          dpop: await dpop.generateProof(keys, house.resource, 'POST', undefined, token),
        });
      assert.equal((await call()).agent, 'agent-a');
      await house.apply(rule('going', { state: 'suspended' }));
      await assert.rejects(call(), { code: 'token.rule' });
      await house.apply(rule('going'));
    });

    test('lets nobody in without a rule, for another audience or several, or as another agent than the rule says', async () => {
      const cases: [string, Record<string, string>, RegExp][] = [
        [svid('/nobody'), {}, /No trust rule/],
        [svid('/nobody'), { client_id: 'agent-a' }, /No trust rule/],
        [svid('/a', { aud: 'https://elsewhere.test' }), {}, /not for/],
        [svid('/a', { aud: [house.publicUrl, 'https://elsewhere.test'] }), {}, /nothing else/],
        [svid('/a'), { client_id: 'agent-b' }, /failed/],
        [svid('/a', { exp: Math.floor(house.clock.now() / 1000) - 1 }), {}, /expired/],
        [svid('/a', { sub: 'spiffe://example.test/env/prod/agent/agent-a' }), {}, /JWT-SVID is refused/],
        [svid('/a', { sub: 'spiffe://other.test/a' }), {}, /JWT-SVID is refused/],
      ];
      for (const [sent, form, says] of cases) {
        const { status, body } = await ask(sent, form);
        assert.deepEqual([status, body.error], [401, 'invalid_client'], JSON.stringify(body));
        assert.match(String(body.error_description), says);
      }
    });

    test('mints nothing for a killed agent', async () => {
      const { body } = await ask(svid('/stopped'));
      assert.equal(body.error, 'unauthorized_client');
    });
  });

  test('starts tasks as the workload that a rule lets it stand for, gets no token as such, and no SVID of this trust domain', async () => {
    const own = await issue('/tickets');
    const client = await connect(own);
    const post = async (path: string, body: object) => {
      const headers = { 'content-type': 'application/json' };
      const response = await client.fetch(house.mutualTlsUrl + path, {
        method: 'POST',
        headers,
        body: JSON.stringify(body),
      });
      return { status: response.status, body: (await response.json()) as Record<string, unknown> };
    };
    const start = () => post('/workload/tasks', { agent: 'agent-a', task: supportTask });
    const { status, body } = await start();
    assert.equal(status, 200, JSON.stringify(body));
    assert.equal((body.task as { vouchedBy: string }).vouchedBy, 'spiffe://example.test/env/prod/workload/tickets');
    await refused(client, 'invalid_client', /failed/);
    assert.equal((await post('/svid/x509', { csr: createCsr().pem })).body.title, 'svid.federated');
    await house.apply(rule('tickets', { agent: undefined, workload: 'tickets', state: 'suspended' }));
    assert.equal((await start()).body.title, 'trust.no-match');
    await house.apply(rule('tickets', { agent: undefined, workload: 'tickets' }));
    await house.registry.setWorkloadState('tickets', 'suspended', OWNER);
    assert.equal((await start()).body.title, 'workload.suspended');
  });

  describe('has its token ended, over the connection that it has,', () => {
    test('when its rule is suspended, stands for another agent, or is removed', async () => {
      const client = await connect(await issue('/going'));
      const { access_token: token } = await client.startTask();
      const codes = async () => (await client.call(token)).body.code;
      await house.apply(rule('going', { state: 'suspended' }));
      assert.equal(await codes(), 'token.rule');
      await refused(client, 'invalid_client', /No trust rule/);
      await house.apply(rule('going'));
      assert.equal((await client.call(token)).status, 200);
      await house.apply(rule('going', { agent: 'agent-b' }));
      assert.equal(await codes(), 'token.rule');
      await house.apply(rule('going'));
      await remove('going');
      assert.equal(await codes(), 'token.rule');
    });

    test('when its rule names another SVID', async () => {
      const client = await connect(await issue('/moving'));
      const { access_token: token } = await client.startTask();
      await house.apply(rule('moving', { claims: { sub: foreignId('/moved') } }));
      assert.equal((await client.call(token)).body.code, 'token.certificate-refused');
    });

    test('when its trust domain takes its root back', async () => {
      const client = await connect(await issue('/a'));
      const { access_token: token } = await client.startTask();
      foreign.serve('foreign.test', bundleOf('foreign.test', undefined, 2));
      await fetchBundles();
      assert.equal((await client.call(token)).body.code, 'token.certificate-refused');
      await refused(client, 'invalid_client', /does not lead to a root/);
      foreign.serve('foreign.test', bundleOf('foreign.test', foreign.of('foreign.test'), 3));
      await fetchBundles();
      assert.equal((await client.call(token)).status, 200);
    });

    /** @proves spiffe.chain-end */
    test('when an authority between it and the root ends before itself, over the connection that it has', async () => {
      const notAfter = house.clock.now() + 8 * HOUR_MS;
      const client = await connect(await issue('/a', 'early.test', { notAfter }));
      const { access_token: token } = await client.startTask();
      assert.equal((await client.call(token)).status, 200);
      house.pass(5 * HOUR_MS);
      await house.settled();
      try {
        await refused(client, 'invalid_client', /a certificate has expired/);
      } finally {
        house.pass(-5 * HOUR_MS);
        await house.settled();
      }
    });

    test('when the root in the bundle has expired', async () => {
      const end = house.clock.now() + 30 * HOUR_MS;
      const client = await connect(await issue('/a', 'foreign.test', { notAfter: end }));
      const { access_token: token } = await client.startTask();
      house.pass(25 * HOUR_MS);
      await house.settled();
      await house.identity.trustDomain.tick();
      try {
        const fresh = await connect(await issue('/a', 'foreign.test', { notAfter: end }));
        assert.equal((await fresh.call(token)).body.code, 'token.expired');
        await refused(fresh, 'invalid_client', /expired/);
      } finally {
        house.pass(-25 * HOUR_MS);
        await house.settled();
      }
    });

    test('when its trust domain is federated with no more', async () => {
      const client = await connect(await issue('/a'));
      const { access_token: token } = await client.startTask();
      await house.registry.apply(
        (await house.registry.exportManifests()).filter(
          ({ kind, ...more }) =>
            kind !== 'TrustRule' && !(kind === 'TrustDomain' && 'name' in more && more.name === 'foreign.test'),
        ),
        { prune: true, by: 'gatehouse' },
      );
      await house.settled();
      assert.equal((await client.call(token)).status, 401);
      await refused(client, 'invalid_client', /foreign\.test is neither ours nor one that we federate with/);
    });
  });

  /** As nobody can apply it. */
  async function insert(name: string, manifest: Manifest): Promise<void> {
    const body = JSON.stringify({ manifest, appliedBy: 'gatehouse' });
    await house.storage.transaction(async (transaction) => {
      await transaction
        .insertInto('objects')
        .values({ kind: 'TrustRule', name, body, updated_at: house.clock.now() })
        .execute();
      await house.storage.announce(transaction, 'object', `TrustRule/${name}`, house.clock.now());
    });
    await house.settled();
  }
  async function remove(name: string): Promise<void> {
    await house.storage.transaction(async (transaction) => {
      await transaction.deleteFrom('objects').where('kind', '=', 'TrustRule').where('name', '=', name).execute();
      await house.storage.announce(transaction, 'object', `TrustRule/${name}`, house.clock.now());
    });
    await house.settled();
  }
});
