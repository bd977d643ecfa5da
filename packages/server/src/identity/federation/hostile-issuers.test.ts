import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import type { Manifest } from '@gatehouse/protocol';
import * as dpop from 'dpop';
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import { agentManifest, type House, openHouse } from '../testing/house.ts';
import { createFederation } from './federation.ts';
import { createIssuerKeys } from './issuer-keys.ts';
import { federationLimits } from './limits.ts';
import { postForm, postJson } from './testing/present.ts';

const MINUTE = 60_000;

/** Each hostile issuer is a path of one server; all of them sign with the same key. */
describe('a hostile or broken issuer', () => {
  let house: House;
  let base = '';
  let privateKey: CryptoKey;
  let publicJwk: JWK;
  let closeServer: () => Promise<void>;
  const asked: string[] = [];
  let isDown = false;

  const json = (response: ServerResponse, value: unknown, status = 200, headers = {}) =>
    void response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
  type Act = (request: IncomingMessage, response: ServerResponse, url: string) => void;
  const good: Act = (request, response, url) =>
    json(
      response,
      request.url?.endsWith('openid-configuration') ? { issuer: url, jwks_uri: `${url}/jwks` } : { keys: [publicJwk] },
    );
  const metadata = 'http://169.254.169.254/latest/meta-data/';
  const withKeys =
    (keys: () => unknown): Act =>
    (request, response, url) =>
      request.url?.endsWith('openid-configuration') ? good(request, response, url) : json(response, keys());
  const withDocument =
    (document: (url: string) => unknown): Act =>
    (request, response, url) =>
      request.url?.endsWith('openid-configuration') ? json(response, document(url)) : good(request, response, url);

  const acts: Record<string, Act> = {
    good,
    outage: (...http) => (isDown ? json(http[1], {}, 503) : good(...http)),
    many: withKeys(() => ({ keys: Array.from({ length: 1_000 }, (_, at) => ({ ...publicJwk, kid: `k${at}` })) })),
    redirect: (_request, response) => json(response, {}, 302, { location: metadata }),
    'keys-at-metadata': withDocument((url) => ({ issuer: url, jwks_uri: metadata })),
    'keys-redirect': (request, response, url) =>
      request.url?.endsWith('jwks') ? json(response, {}, 307, { location: metadata }) : good(request, response, url),
    other: withDocument((url) => ({ issuer: `${url}x`, jwks_uri: `${url}/jwks` })),
    another: withDocument((url) => ({ issuer: url.replace(/[^/]+$/, 'good'), jwks_uri: `${url}/jwks` })),
    'no-uri': withDocument((url) => ({ issuer: url })),
    'file-uri': withDocument((url) => ({ issuer: url, jwks_uri: 'file:///etc/passwd' })),
    huge: (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.on('error', () => undefined);
      for (let at = 0; at < 10; at++) response.write('x'.repeat(1024 * 1024));
      response.end();
    },
    slow: (_request, response) => void response.writeHead(200, { 'content-type': 'application/json' }).write('{'),
    garbage: (_request, response) => void response.writeHead(200).end('<html>sign in</html>'),
    twice: (_request, response, url) => void response.writeHead(200).end(`{"issuer":"${url}","issuer":"${url}"}`),
    'no-keys': withKeys(() => ({})),
    'strange-keys': withKeys(() => ({ keys: [null, 1, 'x', [], {}, { kty: 'EC' }, { kty: 'oct', k: 'AA' }] })),
    private: withKeys(() => ({ keys: [{ ...publicJwk, d: 'AAAA' }] })),
    encryption: withKeys(() => ({ keys: [{ ...publicJwk, use: 'enc' }] })),
    fails: (_request, response) => json(response, {}, 500),
  };

  before(async () => {
    const pair = await generateKeyPair('ES256');
    privateKey = pair.privateKey;
    publicJwk = { ...(await exportJWK(pair.publicKey)), kid: 'k1', use: 'sig', alg: 'ES256' };
    const server = createServer((request, response) => {
      const name = request.url?.split('/')[1] ?? '';
      asked.push(name);
      acts[name]?.(request, response, `${base}/${name}`);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    closeServer = async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    };
    house = await openHouse();
    await house.furnish();
    const rule = (name: string): Manifest => ({
      kind: 'TrustRule',
      name: `rule-${name}`,
      issuer: { type: 'oidc', url: `${base}/${name}`, allowPrivateAddress: true },
      claims: { sub: 'run' },
      agent: 'agent-ci-prod',
      state: 'active',
    });
    await house.apply(agentManifest('agent-ci-prod'), ...Object.keys(acts).map(rule));
  });
  after(async () => {
    await closeServer();
    await house.close();
  });

  const sign = (name: string, kid = 'k1') => {
    const now = Math.floor(house.clock.now() / 1000);
    return new SignJWT({ sub: 'run', jti: randomUUID() })
      .setProtectedHeader({ alg: 'ES256', kid })
      .setIssuer(`${base}/${name}`)
      .setAudience(house.publicUrl)
      .setIssuedAt(now)
      .setExpirationTime(now + 300)
      .sign(privateKey);
  };
  const explain = async (name: string, kid?: string) =>
    house.identity.federation.explain({ token: await sign(name, kid) });
  const problemOf = async (name: string) => {
    const { match, problem } = await explain(name);
    assert.equal(match, null, name);
    return String(problem);
  };

  /** @proves federation.hostile-issuer */
  for (const [name, says] of [
    ['many', /1000 keys; 100 are the most/],
    ['redirect', /redirects, which is not followed/],
    ['keys-redirect', /redirects, which is not followed/],
    ['keys-at-metadata', /169\.254\.169\.254/],
    ['other', /says that it is another issuer/],
    ['another', /says that it is another issuer/],
    ['no-uri', /names no jwks_uri/],
    ['file-uri', /not https/],
    ['huge', /more than 262144 bytes/],
    ['slow', /no answer within/],
    ['garbage', /not JSON/],
    ['twice', /not JSON/],
    ['no-keys', /no key set/],
    ['strange-keys', /no key of/],
    ['private', /no key of/],
    ['encryption', /no key of/],
    ['fails', /answered 500/],
  ] as const)
    test(`that is "${name}" vouches for nobody, and an operator is told why`, async () => {
      assert.match(await problemOf(name), says);
      // Keys that an issuer does give have not signed it; where there are none to be had, nobody knows.
      const code = says.source.startsWith('no key of') ? 'trust.no-match' : 'trust.unavailable';
      await assert.rejects(house.identity.federation.vouch({ token: await sign(name) }), { code });
    });

  /** @proves federation.unavailable */
  test('that cannot be asked is no refusal: try again, says every door, and it is recorded', async () => {
    const keys = await dpop.generateKeyPair('ES256');
    const token = await sign('fails');
    const enrolled = await postJson(house, '/enrol', { token }, { keys, credential: token });
    assert.deepEqual([enrolled.status, enrolled.body.title], [503, 'trust.unavailable']);
    assert.ok(Number(enrolled.headers.get('retry-after')) > 0);
    const details = [{ type: 'urn:gatehouse:task', template: 'support', parameters: {}, intent: 'deploy' }];
    const answer = await postForm(house, { assertion: token, authorization_details: JSON.stringify(details) });
    assert.deepEqual([answer.status, answer.body.error], [503, 'temporarily_unavailable']);
    assert.ok(Number(answer.headers.get('retry-after')) > 0);
    assert.match(String(answer.body.error_description), /try again/);
    assert.ok(!JSON.stringify([enrolled.body, answer.body]).includes('rule-fails'), 'the rules are nobody’s business');
    const [record] = (await house.records('trust.unavailable')).slice(-1);
    assert.match(record?.changes.join() ?? '', /rule-fails: .*answered 500|rule-fails: .*could not be fetched/);
  });

  test('takes no other down with it', async () => {
    assert.equal((await explain('good')).match?.agent, 'agent-ci-prod');
  });

  test('whom no rule names is never asked', async () => {
    const before = asked.length;
    const { problem } = await explain('unnamed');
    assert.match(String(problem), /No trust rule is for the issuer/);
    assert.equal(asked.length, before);
  });

  /** @proves federation.outage */
  test('that is away: its known keys are taken for a day and after a restart, and no longer', async () => {
    const pass = async (ms: number) => {
      house.pass(ms);
      await house.settled();
    };
    const restarted = () => createFederation({ ...house, issuerKeys: createIssuerKeys(house) });
    assert.ok((await explain('outage')).match);
    isDown = true;
    await pass(federationLimits.keysFreshMs + 1);
    assert.ok((await explain('outage')).match, 'known keys');
    assert.ok((await restarted().explain({ token: await sign('outage') })).match, 'after a restart');
    await pass(federationLimits.keysStaleMs - federationLimits.keysFreshMs - MINUTE);
    assert.ok((await explain('outage')).match, 'just within the bound');
    await pass(2 * MINUTE);
    assert.equal((await explain('outage')).match, null);
    assert.equal((await restarted().explain({ token: await sign('outage') })).match, null, 'nor after a restart');
    isDown = false;
    await pass(federationLimits.refetchMs);
    assert.ok((await explain('outage')).match, 'when it is back');
  });

  test('that one rule may call at a private address lends its keys to no rule that may not', async () => {
    const keys = createIssuerKeys(house);
    const issuer = { type: 'oidc', url: `${base}/good` } as const;
    assert.equal((await keys.of({ ...issuer, allowPrivateAddress: true })).length, 1);
    await assert.rejects(keys.of({ ...issuer, allowPrivateAddress: false }), { code: 'outbound.url' });
  });

  /** @proves federation.refetch */
  test('is asked once in a while, whatever key ids tokens name', async () => {
    assert.ok((await explain('good')).match);
    house.pass(federationLimits.refetchMs);
    await house.settled();
    const before = asked.filter((name) => name === 'good').length;
    await Promise.all(Array.from({ length: 20 }, (_, at) => explain('good', `unknown-${at}`)));
    const between = asked.filter((name) => name === 'good').length - before;
    assert.ok(between <= 2, `asked ${between} times`);
    assert.ok((await explain('good')).match, 'and known keys stay good');
  });
});
