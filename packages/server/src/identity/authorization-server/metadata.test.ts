import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { generateKeyPair } from 'jose';
import { createAgentClient } from '../testing/agent-client.ts';
import { createKey, type House, openHouse } from '../testing/house.ts';
import { authorizationLimits } from './limits.ts';

/** The metadata are written by hand: this asks the server whether each promise in them is so, and tries what is not promised. */
let house: House;
let metadata: Record<string, unknown>;
const list = (name: string) => metadata[name] as string[];

before(async () => {
  house = await openHouse();
  await house.furnish();
  const redirectUris = ['https://app.example/callback'];
  await house.apply({ kind: 'Client', name: 'app', displayName: 'App', redirectUris, keys: [] });
  metadata = (await (await fetch(`${house.publicUrl}/.well-known/oauth-authorization-server`)).json()) as Record<
    string,
    unknown
  >;
});
after(() => house.close());

const post = async (url: string, form: Record<string, string>) => {
  const response = await fetch(url, { method: 'POST', body: new URLSearchParams(form) });
  return { status: response.status, body: (await response.json()) as Record<string, string> };
};
const authorize = (change: Record<string, string>) =>
  fetch(
    `${metadata.authorization_endpoint}?${new URLSearchParams({
      response_type: 'code',
      client_id: 'app',
      redirect_uri: 'https://app.example/callback',
      code_challenge: 'x'.repeat(43),
      code_challenge_method: 'S256',
      ...change,
    })}`,
    { redirect: 'manual' },
  );

/** @proves rfc8414.true */
test('every endpoint that is named answers for itself', async () => {
  const named = Object.entries(metadata).filter(([name]) => name.endsWith('_endpoint'));
  assert.ok(named.length >= 7);
  for (const [name, url] of named) {
    const isPage = name === 'authorization_endpoint';
    const response = await fetch(String(url), isPage ? {} : { method: 'POST', body: new URLSearchParams() });
    assert.ok([400, 401].includes(response.status), `${name}: ${response.status}`);
    assert.ok(((await response.json()) as { error?: string }).error, name);
  }
  const keys = (await (await fetch(String(metadata.jwks_uri))).json()) as { keys: unknown[] };
  assert.ok(keys.keys.length > 0);
});

/** @proves rfc8414.true */
test('the grants that are named are known, and no others', async () => {
  const client = await createAgentClient(house, await house.enrol('agent-grants'));
  for (const grant_type of list('grant_types_supported')) {
    const { body } = await client.post({ form: { grant_type, authorization_details: undefined } });
    assert.notEqual(body.error, 'unsupported_grant_type', grant_type);
    assert.notEqual(body.error, undefined, grant_type);
  }
  for (const grant_type of ['password', 'implicit', 'urn:ietf:params:oauth:grant-type:saml2-bearer']) {
    if (list('grant_types_supported').includes(grant_type)) continue;
    const { body } = await client.post({ form: { grant_type } });
    assert.equal(body.error, 'unsupported_grant_type', grant_type);
  }
});

/** @proves id-jag.metadata */
test('that ID-JAGs are taken and given is said in the members of the drafts, and by no name of a provider', async () => {
  assert.deepEqual(metadata.authorization_grant_profiles_supported, ['urn:ietf:params:oauth:grant-profile:id-jag']);
  assert.ok(list('grant_types_supported').includes('urn:ietf:params:oauth:grant-type:jwt-bearer'));
  assert.deepEqual(metadata.identity_chaining_requested_token_types_supported, [
    'urn:ietf:params:oauth:token-type:id-jag',
  ]);
});

/** @proves rfc8414.true */
test('assertions and proofs are signed with the algorithms that are named, and with no others', async () => {
  const named = list('token_endpoint_auth_signing_alg_values_supported');
  assert.deepEqual(named, list('dpop_signing_alg_values_supported'));
  const keys = {
    ES256: await createKey('ES256'),
    EdDSA: await createKey('Ed25519'),
    Ed25519: await createKey('Ed25519'),
  };
  for (const alg of named) {
    const key = keys[alg as keyof typeof keys];
    assert.ok(key, `${alg} has no key in this test`);
    const name = `agent-${alg.toLowerCase()}`;
    await house.apply({
      kind: 'Agent',
      name,
      owner: 'owner@example.test',
      purpose: 'tests',
      environment: 'prod',
      blueprint: 'support',
      state: 'active',
      risk: 'low',
      keys: [key.publicJwk],
      bearerOnly: true,
    });
    const client = await createAgentClient(house, { name, ...key });
    const { status, body } = await client.post({ assertion: { header: { alg } }, bearer: true });
    assert.equal(status, 200, `${alg}: ${JSON.stringify(body)}`);
  }
  const client = await createAgentClient(house, await house.enrol('agent-others'));
  for (const alg of ['RS256', 'PS256', 'ES384'] as const) {
    const { privateKey } = await generateKeyPair(alg);
    const { status } = await client.post({ assertion: { header: { alg }, key: privateKey } });
    assert.equal(status, 401, alg);
  }
  const { status } = await client.post({ assertion: { header: { alg: 'HS256' }, key: new Uint8Array(32) } });
  assert.equal(status, 401);
});

/** @proves rfc8414.true */
test('clients prove themselves in the ways that are named, and no secret is one', async () => {
  const methods = list('token_endpoint_auth_methods_supported');
  for (const method of ['introspection', 'revocation'])
    assert.deepEqual(list(`${method}_endpoint_auth_methods_supported`), methods);
  for (const method of methods) assert.doesNotMatch(method, /secret/);
  const { name } = await house.enrol('agent-secret');
  const form = { grant_type: 'client_credentials', client_id: name, client_secret: 'x' };
  assert.equal((await post(String(metadata.token_endpoint), form)).body.error, 'invalid_client');
  const basic = await fetch(String(metadata.token_endpoint), {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(`${name}:x`)}` },
    body: new URLSearchParams({ grant_type: 'client_credentials' }),
  });
  assert.ok([400, 401].includes(basic.status));
});

/** @proves rfc8414.true */
test('PKCE, response types and modes are those that are named', async () => {
  const isBegun = (response: Response) => response.headers.get('location')?.includes('/consent/') === true;
  for (const code_challenge_method of ['S256', 'plain', 'S512'])
    assert.equal(
      isBegun(await authorize({ code_challenge_method })),
      list('code_challenge_methods_supported').includes(code_challenge_method),
      code_challenge_method,
    );
  for (const response_type of ['code', 'token', 'id_token', 'code id_token', 'none'])
    assert.equal(
      isBegun(await authorize({ response_type, ...(response_type.includes('id_token') && { nonce: 'n' }) })),
      list('response_types_supported').includes(response_type),
      response_type,
    );
  for (const response_mode of ['query', 'fragment', 'form_post', 'web_message', 'jwt', 'query.jwt'])
    assert.equal(
      isBegun(await authorize({ response_mode })),
      list('response_modes_supported').includes(response_mode),
      response_mode,
    );
  const unnamed = await authorize({ request: 'x.y.z' });
  assert.equal(isBegun(unnamed), false, 'request objects are not promised');
});

/** @proves rfc8414.true */
test('details are of the types that are named', async () => {
  const [type] = list('authorization_details_types_supported');
  const client = await createAgentClient(house, await house.enrol('agent-details'));
  const ask = (of: string) =>
    client.post({
      form: {
        authorization_details: JSON.stringify([
          { type: of, template: 'support', parameters: { customer: 'cus_1' }, intent: 'answer' },
        ]),
      },
    });
  assert.equal((await ask(String(type))).status, 200);
  assert.equal((await ask('urn:other')).body.error, 'invalid_authorization_details');
});

/** @proves oauth.limits, ciba.poll */
test('out of band a person is asked by polling only, and not without end', async () => {
  assert.deepEqual(list('backchannel_token_delivery_modes_supported'), ['poll']);
  const client = await createAgentClient(house, await house.enrol('agent-asking'));
  const ask = (change: Record<string, string> = {}) =>
    client.post({
      path: '/oauth/backchannel',
      bearer: true,
      form: {
        grant_type: undefined,
        authorization_details: undefined,
        scope: 'openid',
        login_hint: 'owner@example.test',
        ...change,
      },
    });
  assert.equal((await ask({ binding_message: 'x'.repeat(201) })).body.error, 'invalid_binding_message');
  assert.equal((await ask({ binding_message: 'a\u202eb' })).body.error, 'invalid_binding_message');
  assert.equal((await ask({ login_hint: 'nobody@example.test' })).body.error, 'unknown_user_id');
  for (let at = 0; at < authorizationLimits.asksPerPerson; at++) {
    const { status, body } = await ask({ binding_message: 'x'.repeat(200) });
    assert.equal(status, 200, JSON.stringify(body));
  }
  const { status, body } = await ask();
  assert.equal(status, 429);
  assert.equal(body.error, 'temporarily_unavailable');
  // Requests that are over at once would count for nothing, and each is a record and asks somebody.
  await house.apply({ kind: 'Person', email: 'asked@example.test', displayName: 'Asked', roles: ['owner'] });
  const brief = { login_hint: 'asked@example.test', requested_expiry: '1' };
  const later = async (ms: number) => {
    house.pass(ms);
    await house.settled();
  };
  for (let at = 0; at < authorizationLimits.asksPerTenMinutes; at++) {
    if (at === 15) await later(61_000);
    const begun = await ask(brief);
    assert.equal(begun.status, 200, JSON.stringify(begun.body));
    assert.equal(begun.body.expires_in, authorizationLimits.askMinTtlSeconds);
  }
  await later(61_000);
  const tooOften = await ask(brief);
  assert.equal(tooOften.status, 429);
  assert.match(String(tooOften.body.error_description), /within ten minutes/);
  await later(600_000);
  assert.equal((await ask(brief)).status, 200);
});
