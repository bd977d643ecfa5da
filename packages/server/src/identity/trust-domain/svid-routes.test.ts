import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { createAgentClient } from '../testing/agent-client.ts';
import { createKey, type House, openHouse } from '../testing/house.ts';
import { assertCleanLog } from '../testing/refusals.ts';
import { createCsr } from '../testing/svid-client.ts';
import { trustDomainLimits } from './limits.ts';

let house: House;
let agent: Awaited<ReturnType<House['enrol']>>;
let client: Awaited<ReturnType<typeof createAgentClient>>;

type Body = Record<string, unknown>;
const post = async (path: string, body: unknown, headers: Record<string, string> = {}) => {
  const response = await fetch(house.address + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Body, headers: response.headers };
};
const csr = () => createCsr().pem;
const byAssertion = async (
  path = '/svid/x509',
  body: Body = { csr: csr() },
  change: Parameters<typeof client.assertion>[0] = {},
) => post(path, { ...body, clientAssertion: await client.assertion(change) });
const byToken = async (token: string, path = '/svid/x509', body: Body = { csr: csr() }, scheme = 'DPoP') =>
  post(path, body, {
    authorization: `${scheme} ${token}`,
    dpop: await client.proof(house.publicUrl + path, { token }),
  });

before(async () => {
  house = await openHouse();
  await house.furnish();
  agent = await house.enrol('agent-a');
  client = await createAgentClient(house, agent);
});
after(async () => {
  assertCleanLog(house);
  await house.close();
});

describe('an agent gets SVIDs', () => {
  test('of its own by an assertion of its key, and of its task by the task’s token', async () => {
    const own = await byAssertion();
    assert.equal(own.status, 200, JSON.stringify(own.body));
    assert.equal(own.body.spiffeId, 'spiffe://example.test/env/prod/agent/agent-a');
    const leaf = new X509Certificate(Buffer.from((own.body.certificates as string[])[0] as string, 'base64'));
    assert.equal(leaf.subjectAltName, `URI:${own.body.spiffeId}`);
    assert.equal(own.headers.get('cache-control'), 'no-store');
    const { access_token: token, authorization_details: details } = await client.startTask();
    const id = `spiffe://example.test/env/prod/agent/agent-a/task/${details[0].task}`;
    assert.equal((await byToken(token)).body.spiffeId, id);
    const jwt = await byToken(token, '/svid/jwt', { audience: ['db'] });
    assert.equal(jwt.body.spiffeId, id);
    const verified = await house.identity.trustDomain.verifyJwtSvid(jwt.body.token as string, 'db');
    assert.equal(await house.identity.trustDomain.whyRefused(verified), undefined);
    assert.ok((jwt.body.expiresAt as number) - house.clock.now() <= trustDomainLimits.jwtSvidTtlSeconds * 1000);
    const records = await house.records('svid.issue');
    assert.deepEqual(
      records.slice(-2).map(({ task }) => task),
      [details[0].task, details[0].task],
    );
  });

  test('and no other way: no proof, a bearer token, a token for one server, a used proof or assertion, one for somebody else', async () => {
    const count = (await house.records('svid.issue')).length;
    const none = await post('/svid/x509', { csr: csr() });
    assert.deepEqual([none.status, none.body.title], [401, 'svid.no-proof']);
    assert.match(none.headers.get('www-authenticate') ?? '', /DPoP/);
    const { access_token: token } = await client.startTask();
    assert.deepEqual((await byToken(token, undefined, undefined, 'Bearer')).body.title, 'token.scheme');
    const narrow = await client.startTask(undefined, `${house.publicUrl}/mcp/shop`);
    assert.equal((await byToken(narrow.access_token)).body.title, 'token.audience');
    const dpop = await client.proof(`${house.publicUrl}/svid/bundles`, { token });
    const headers = { authorization: `DPoP ${token}`, dpop };
    assert.equal((await post('/svid/bundles', {}, headers)).status, 200);
    assert.equal((await post('/svid/bundles', {}, headers)).body.title, 'proof.replayed');
    assert.equal(
      (await post('/svid/x509', { csr: csr() }, { authorization: `DPoP ${token}` })).body.title,
      'proof.missing',
    );
    const both = await post('/svid/x509', { csr: csr(), clientAssertion: await client.assertion() }, headers);
    assert.deepEqual([both.status, both.body.title], [400, 'svid.two-proofs']);
    const assertion = await client.assertion();
    assert.equal((await post('/svid/bundles', { clientAssertion: assertion })).status, 200);
    assert.equal((await post('/svid/x509', { csr: csr(), clientAssertion: assertion })).body.title, 'assertion.used');
    const spent = await client.post({ form: { client_assertion: assertion } });
    assert.deepEqual([spent.status, spent.body.error], [401, 'invalid_client']);
    const other = await createKey();
    const cases: [Parameters<typeof client.assertion>[0], string][] = [
      [{ claims: { iss: 'agent-b', sub: 'agent-b' } }, 'assertion.unknown'],
      [{ key: other.privateKey }, 'assertion.unknown'],
      [{ claims: { aud: 'https://elsewhere.example' } }, 'assertion.invalid'],
      [{ claims: { aud: `${house.publicUrl}/oauth/token` } }, 'assertion.invalid'],
      [{ claims: { exp: Math.floor(Date.now() / 1000) + 100_000 } }, 'assertion.invalid'],
      [{ claims: { exp: Math.floor(Date.now() / 1000) - 100 } }, 'assertion.expired'],
      [{ claims: { jti: undefined } }, 'assertion.invalid'],
      [{ header: { typ: 'dpop+jwt' } }, 'assertion.invalid'],
      [{ claims: { sub: 'agent-b' } }, 'assertion.invalid'],
    ];
    for (const [change, title] of cases)
      assert.deepEqual((await byAssertion(undefined, undefined, change)).body.title, title, JSON.stringify(change));
    assert.equal((await house.records('svid.issue')).length, count);
  });

  test('with a body that is right: otherwise it is told what is wrong', async () => {
    const cases: [string, unknown, number, string][] = [
      ['/svid/x509', {}, 400, 'body.invalid'],
      ['/svid/x509', { csr: 'x' }, 400, 'svid.csr'],
      ['/svid/x509', { csr: csr(), spiffeId: 'spiffe://example.test/admin' }, 400, 'body.invalid'],
      ['/svid/jwt', { audience: [] }, 400, 'body.invalid'],
      ['/svid/jwt', { audience: ['a'], ttlSeconds: 86_400 }, 400, 'body.invalid'],
      ['/svid/jwt', { audience: Array.from({ length: 9 }, () => 'a') }, 400, 'body.invalid'],
      ['/svid/nothing', {}, 404, 'route.unknown'],
    ];
    for (const [path, body, status, title] of cases) {
      const answer = await post(path, { ...(body as Body), clientAssertion: await client.assertion() });
      assert.deepEqual([answer.status, answer.body.title], [status, title], path);
    }
    assert.equal((await post('/svid/x509', '{"csr":"a","csr":"b"}')).body.title, 'json.duplicate-key');
    assert.equal((await post('/svid/x509', '{')).body.title, 'json.malformed');
    assert.equal((await post('/svid/x509', 'x'.repeat(40_000))).status, 413);
    assert.equal((await fetch(`${house.address}/svid/x509`)).status, 400);
  });

  /** @proves law-6.issuance */
  test('only while it may act: every path that mints refuses a stopped agent and a task that is over', async () => {
    const stopped = await house.enrol('agent-stopped');
    const its = await createAgentClient(house, stopped);
    const { access_token: token } = await its.startTask();
    const proof = (path: string) => its.proof(house.publicUrl + path, { token });
    await house.registry.setAgentState('agent-stopped', 'suspended', 'gatehouse');
    await house.settled();
    const paths = house.identity.trustDomain.issuancePaths();
    assert.deepEqual(paths, ['POST /svid/x509', 'POST /svid/jwt']);
    for (const path of paths.map((each) => each.slice('POST '.length))) {
      const body = path === '/svid/jwt' ? { audience: ['a'] } : { csr: csr() };
      const byKey = await post(path, { ...body, clientAssertion: await its.assertion() });
      assert.deepEqual([byKey.status, byKey.body.title], [403, 'agent.suspended'], path);
      const byOld = await post(path, body, { authorization: `DPoP ${token}`, dpop: await proof(path) });
      assert.deepEqual([byOld.status, byOld.body.title], [401, 'agent.suspended'], path);
    }
  });

  test('at most so many in a minute', async () => {
    const busy = await house.enrol('agent-busy');
    const its = await createAgentClient(house, busy);
    const ask = async () => post('/svid/jwt', { audience: ['a'], clientAssertion: await its.assertion() });
    let last = await ask();
    for (let count = 1; last.status === 200; count++) {
      assert.ok(count <= trustDomainLimits.svidsPerAgentPerMinute);
      last = await ask();
    }
    assert.deepEqual([last.status, last.body.title], [429, 'svid.rate']);
    assert.equal((await byAssertion()).status, 200, 'another agent is not kept out');
  });
});

/** @proves spiffe.bundle */
test('the bundle endpoint answers everybody, with what verifies our SVIDs and nothing private', async () => {
  const response = await fetch(`${house.address}/.well-known/spiffe/bundle`);
  assert.equal(response.status, 200);
  const bundle = (await response.json()) as {
    keys: Record<string, unknown>[];
    spiffe_sequence: number;
    spiffe_refresh_hint: number;
  };
  assert.ok(Number.isSafeInteger(bundle.spiffe_sequence));
  assert.equal(bundle.spiffe_refresh_hint, 300);
  const [x509, jwt] = bundle.keys;
  assert.deepEqual([x509?.use, x509?.kid, (x509?.x5c as string[] | undefined)?.length], ['x509-svid', undefined, 1]);
  assert.deepEqual([jwt?.use, typeof jwt?.kid], ['jwt-svid', 'string']);
  for (const key of bundle.keys) assert.equal(key.d, undefined);
  const before = bundle.spiffe_sequence;
  house.pass(1_000);
  await house.settled();
  await house.identity.trustDomain.rotateJwt({ by: 'gatehouse' });
  const next = (await (await fetch(`${house.address}/spiffe/bundle`)).json()) as typeof bundle;
  assert.ok(next.spiffe_sequence > before);
  assert.equal(next.keys.length, 3);
  assert.equal((await fetch(`${house.address}/spiffe/bundle`, { method: 'POST' })).status, 400);
});
