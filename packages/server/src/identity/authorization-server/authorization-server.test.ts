import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { auth, extractWWWAuthenticateParams } from '@modelcontextprotocol/sdk/client/auth.js';
import { PrivateKeyJwtProvider } from '@modelcontextprotocol/sdk/client/auth-extensions.js';
import { OAuthMetadataSchema, OpenIdProviderDiscoveryMetadataSchema } from '@modelcontextprotocol/sdk/shared/auth.js';
import { createRemoteJWKSet, exportJWK, jwtVerify } from 'jose';
import * as oauth from 'oauth4webapi';
import { type AgentClient, createAgentClient, insecure, supportTask } from '../testing/agent-client.ts';
import { createKey, type EnrolledAgent, type House, openHouse } from '../testing/house.ts';
import { endpoints } from './server-metadata.ts';

let house: House;
let agent: EnrolledAgent;
let client: AgentClient;

before(async () => {
  house = await openHouse();
  await house.furnish();
  agent = await house.enrol('agent-support-prod');
  client = await createAgentClient(house, agent);
});
after(() => house.close());

describe('a foreign OAuth client', () => {
  test('starts a task with one request, and calls with the token', async () => {
    const response = await client.startTask();
    assert.equal(response.token_type, 'dpop');
    assert.ok(response.expires_in > 0 && response.expires_in <= 900);
    const [details] = response.authorization_details;
    assert.match(details.task, /^tsk_/);
    const { task, ...asked } = details;
    assert.deepEqual(asked, supportTask);

    const called = await client.call(response.access_token);
    const caller = (await called.json()) as Record<string, unknown>;
    assert.equal(caller.agent, agent.name);
    assert.equal((caller.task as { id: string }).id, task);
    assert.deepEqual(caller.actorChain, [
      { sub: 'spiffe://example.test/env/prod/agent/agent-support-prod', profile: 'ai_agent' },
    ]);
  });

  test('gets an RFC 9068 token that others can verify with the published keys, with nothing private in it', async () => {
    const { access_token: token, authorization_details: details } = await client.startTask();
    const jwks = createRemoteJWKSet(new URL(client.server.jwks_uri as string));
    const { payload, protectedHeader } = await jwtVerify(token, jwks, {
      typ: 'at+jwt',
      algorithms: ['ES256'],
      issuer: house.publicUrl,
      audience: house.resource,
      requiredClaims: ['sub', 'client_id', 'jti', 'iat', 'exp'],
    });
    assert.deepEqual(Object.keys(protectedHeader).sort(), ['alg', 'kid', 'typ']);
    assert.equal(payload.sub, 'spiffe://example.test/env/prod/agent/agent-support-prod');
    assert.equal(payload.client_id, agent.name);
    assert.equal(payload.aud, house.resource);
    assert.equal(payload.sub_profile, 'ai_agent');
    assert.equal('act' in payload, false);
    const task = details[0].task;
    assert.deepEqual(payload.authorization_details, [{ type: supportTask.type, task, template: 'support' }]);
    assert.doesNotMatch(JSON.stringify(payload), /cus_1|answer the ticket/);

    const request = new Request(house.resource, {
      method: 'POST',
      headers: {
        authorization: `DPoP ${token}`,
        dpop: await client.proof(house.resource, { token }),
      },
    });
    const claims = await oauth.validateJwtAccessToken(client.server, request, house.resource, insecure);
    assert.equal(claims.jti, payload.jti);
  });

  test('continues a running task with a new token', async () => {
    const first = await client.startTask();
    const { task } = first.authorization_details[0];
    const second = await client.startTask({ type: supportTask.type, task });
    assert.equal(second.authorization_details[0].task, task);
    assert.equal(second.authorization_details[0].template, 'support');
    assert.notEqual(second.access_token, first.access_token);
    assert.equal((await client.call(second.access_token)).status, 200);
  });

  test('works with an Ed25519 key', async () => {
    const other = await createAgentClient(house, await house.enrol('agent-ed25519', { algorithm: 'Ed25519' }));
    const { access_token } = await other.startTask();
    assert.equal((await other.call(access_token)).status, 200);
  });

  test('works with each of two registered keys', async () => {
    const first = await house.enrol('agent-two-keys');
    const second = await createKey();
    await house.registry.addAgentKey('agent-two-keys', second.publicJwk, 'person:owner@example.test');
    await house.settled();
    for (const key of [first, second]) {
      const its = await createAgentClient(house, { ...key, name: 'agent-two-keys' });
      assert.ok((await its.startTask()).access_token);
    }
  });
});

test("the official MCP SDK's own client finds everything from the 401 and gets its token", async () => {
  const key = await house.enrol('agent-sdk', { bearerOnly: true });
  class Provider extends PrivateKeyJwtProvider {
    override prepareTokenRequest() {
      const authorization_details = JSON.stringify([supportTask]);
      return new URLSearchParams({ grant_type: 'client_credentials', authorization_details });
    }
  }
  const provider = new Provider({
    clientId: 'agent-sdk',
    privateKey: (await exportJWK(key.privateKey)) as Record<string, unknown>,
    algorithm: 'ES256',
    expectedIssuer: house.publicUrl,
  });
  const refused = await fetch(`${house.resource}/shop`, { method: 'POST' });
  const { resourceMetadataUrl } = extractWWWAuthenticateParams(refused);
  assert.equal(await auth(provider, { serverUrl: `${house.resource}/shop`, resourceMetadataUrl }), 'AUTHORIZED');
  const authorization = `Bearer ${provider.tokens()?.access_token}`;
  const called = await fetch(`${house.resource}/shop`, { method: 'POST', headers: { authorization } });
  assert.equal(called.status, 200);
  const elsewhere = await fetch(`${house.resource}/other`, { method: 'POST', headers: { authorization } });
  assert.equal(elsewhere.status, 401);
});

describe('every token is in the log before it leaves', () => {
  test('its record names the agent, the task, the audience and the key it is bound to, and not the token', async () => {
    const { access_token, authorization_details } = await client.startTask();
    const record = (await house.records('token.issue')).at(-1);
    const claims = JSON.parse(Buffer.from(access_token.split('.')[1] as string, 'base64url').toString());
    assert.equal(record?.agent, agent.name);
    assert.equal(record?.task, authorization_details[0].task);
    assert.equal(record?.environment, 'prod');
    const text = record?.changes.join() ?? '';
    for (const part of [claims.jti, claims.aud, claims.cnf.jkt]) assert.ok(text.includes(part), part);
    assert.equal(JSON.stringify(record).includes(access_token.split('.')[2] as string), false);
  });

  test('what cannot be recorded is not issued', async () => {
    const before = (await house.records('token.issue')).length;
    house.failRecording(new Error('the disk is full'));
    try {
      const { status, body } = await client.post();
      assert.equal(status, 503);
      assert.equal(body.error, 'temporarily_unavailable');
      assert.equal(body.access_token, undefined);
      assert.doesNotMatch(JSON.stringify(body), /disk/);
    } finally {
      house.failRecording(undefined);
    }
    assert.equal((await house.records('token.issue')).length, before);
    assert.equal((await client.post()).status, 200);
  });
});

describe('documents', () => {
  const get = async (path: string) => {
    const response = await fetch(house.publicUrl + path);
    return { response, body: (await response.json()) as Record<string, unknown> };
  };

  test('RFC 8414 metadata is complete, true, and readable for the official MCP SDK', async () => {
    const { body, response } = await get('/.well-known/oauth-authorization-server');
    assert.equal(response.headers.get('access-control-allow-origin'), '*');
    OAuthMetadataSchema.parse(body);
    assert.equal(body.issuer, house.publicUrl);
    for (const grant of [
      'client_credentials',
      'authorization_code',
      'refresh_token',
      'urn:ietf:params:oauth:grant-type:jwt-bearer',
    ])
      assert.ok((body.grant_types_supported as string[]).includes(grant), grant);
    assert.deepEqual(body.token_endpoint_auth_methods_supported, ['private_key_jwt', 'none', 'spiffe_jwt']);
    assert.deepEqual(body.code_challenge_methods_supported, ['S256']);
    assert.deepEqual(body.authorization_details_types_supported, ['urn:gatehouse:task']);
    assert.deepEqual(body.dpop_signing_alg_values_supported, ['ES256', 'EdDSA', 'Ed25519']);
    for (const [name, value] of Object.entries(body)) {
      if (!name.endsWith('_endpoint') && name !== 'jwks_uri') continue;
      const { status } = await fetch(value as string, { method: name === 'jwks_uri' ? 'GET' : 'POST' });
      assert.notEqual(status, 404, `${name} leads nowhere`);
    }
  });

  test('the OpenID name gives the same, with what that name requires', async () => {
    const { body } = await get('/.well-known/openid-configuration');
    OpenIdProviderDiscoveryMetadataSchema.parse(body);
    const { subject_types_supported: _, id_token_signing_alg_values_supported: __, ...rest } = body;
    assert.deepEqual(rest, (await get('/.well-known/oauth-authorization-server')).body);
  });

  test('the key set has public keys only', async () => {
    const { body, response } = await get('/oauth/jwks');
    assert.equal(response.headers.get('content-type'), 'application/jwk-set+json');
    for (const key of body.keys as Record<string, unknown>[]) {
      assert.deepEqual(Object.keys(key).sort(), ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']);
      assert.equal(key.kid, hash('sha256', `{"crv":"P-256","kty":"EC","x":"${key.x}","y":"${key.y}"}`, 'base64url'));
    }
  });

  test('RFC 9728 metadata names exactly the resource it was asked for', async () => {
    for (const path of ['/mcp', '/mcp/shop']) {
      const document = house.identity.resourceMetadata(path);
      const response = Response.json(document);
      const metadata = await oauth.processResourceDiscoveryResponse(new URL(house.publicUrl + path), response);
      assert.deepEqual(metadata.authorization_servers, [house.publicUrl]);
      assert.deepEqual(metadata.authorization_details_types_supported, ['urn:gatehouse:task']);
    }
    for (const path of ['/mcp/', '', '/'])
      assert.equal(house.identity.resourceMetadata(path)?.resource, house.resource);
    for (const path of ['/other', '/mcp/../x', '/mcp/a/b', '/mcpx', '/mcp/%2e%2e', '/mcp/A'])
      assert.equal(house.identity.resourceMetadata(path), undefined, path);
  });

  test('a browser that no client has sent is told so, in text that nothing can make a page of, and in no frame', async () => {
    const response = await fetch(`${house.publicUrl}/oauth/authorize?response_type=code&client_id=%3Cscript%3E`, {
      headers: { accept: 'text/html' },
    });
    assert.equal(response.status, 400);
    assert.match(response.headers.get('content-type') ?? '', /^text\/plain/);
    assert.match(response.headers.get('content-security-policy') ?? '', /frame-ancestors 'none'/);
    assert.equal(response.headers.get('x-frame-options'), 'DENY');
    assert.match(await response.text(), /invalid_client/);
  });

  /** @proves oauth.no-enumeration */
  test('nobody who proves nothing hears which agents exist', async () => {
    for (const path of Object.values(endpoints)) {
      const ask = async (client_id: string) => {
        const form = new URLSearchParams({
          client_id,
          grant_type: 'client_credentials',
          token: 'x',
          response_type: 'code',
          redirect_uri: 'https://app.example/callback',
        });
        const response =
          path === endpoints.authorize
            ? await fetch(`${house.publicUrl}${path}?${form}`, { redirect: 'manual' })
            : await fetch(house.publicUrl + path, { method: 'POST', body: form });
        return [response.status, await response.text()];
      };
      assert.deepEqual(await ask('agent-support-prod'), await ask('agent-nobody-prod'), path);
    }
  });

  test('the routes that mint are those that are declared', () => {
    assert.deepEqual(house.identity.authorizationServer.issuancePaths(), [
      'POST /oauth/token',
      'POST /oauth/device',
      'POST /oauth/backchannel',
      'POST /enrol',
      'POST /workload/tasks',
      'GET /oauth/authorize/:request',
    ]);
  });
});
