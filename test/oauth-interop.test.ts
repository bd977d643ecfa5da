import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { ManifestInput } from '@gatehouse/protocol';
import { exportJWK } from 'jose';
import * as oauth from 'oauth4webapi';
import * as oidc from 'openid-client';
import { answerConsent, authorize } from './support/browser-flow.ts';
import { manifests } from './support/fixtures.ts';
import { type SignedInPerson, startWorkspace, type Workspace } from './support/workspace.ts';

/**
 * Two foreign OAuth libraries against our authorization server, strict as they are: every answer is checked by them. Every DPoP
 * proof needs a nonce here, so that they show that they get along with it.
 */
let workspace: Workspace;
let owner: SignedInPerson;
let clientKeys: CryptoKeyPair;
const agentKeys = new Map<string, CryptoKeyPair>();
const keyOf = (agent: string) => (agentKeys.get(agent) as CryptoKeyPair).privateKey;

const CALLBACK = 'https://app.example/callback';
const AGENT = 'agent-a';
const HELPER = 'agent-b';
const insecure = { [oauth.allowInsecureRequests]: true } as const;
const TASK = 'urn:gatehouse:task';

before(async () => {
  workspace = await startWorkspace({ requireProofNonce: true, clients: { dynamic: true } });
  clientKeys = await oauth.generateKeyPair('ES256');
  const key = { ...(await exportJWK(clientKeys.publicKey)) };
  const app: ManifestInput = { kind: 'Client', name: 'app', displayName: 'App', redirectUris: [CALLBACK] };
  const confidential = { ...app, name: 'confidential', displayName: 'Confidential', keys: [key] } as ManifestInput;
  const those = manifests().map((each) =>
    each.kind === 'Agent' && each.name === AGENT ? { ...each, delegatesTo: { agents: [HELPER] } } : each,
  );
  await workspace.apply([...those, app, confidential]);
  for (const name of [AGENT, HELPER]) {
    const pair = await oauth.generateKeyPair('ES256');
    agentKeys.set(name, pair);
    const body = { key: await exportJWK(pair.publicKey) };
    await workspace.operator('POST /agents/:name/keys', { params: { name }, body });
  }
  owner = await workspace.person('owner@example.test');
});
after(() => workspace.close());

const choose = { choose: <T extends { agent: string }>(all: T[]) => all.find(({ agent }) => agent === AGENT) };
const details = (intent: string) => JSON.stringify([{ type: TASK, template: 'all', intent, parameters: {} }]);
const resource = () => `${workspace.url}/mcp`;
const deviceRequest = (code: string) => `device-${code.replace('-', '')}`;

interface Claims {
  sub: string;
  cnf?: { jkt?: string };
}
const claimsOf = (token: string) =>
  JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Claims;

async function newestAsk(): Promise<string> {
  const { items } = await owner.api('GET /consents');
  return items[0]?.id ?? '';
}

describe('oauth4webapi', () => {
  let server: oauth.AuthorizationServer;
  const app: oauth.Client = { client_id: 'app' };

  before(async () => {
    const issuer = new URL(workspace.url);
    const found = await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure });
    server = await oauth.processDiscoveryResponse(issuer, found);
  });

  /** As the library asks for it: once more with the nonce that it was given. */
  async function withNonce<T>(attempt: () => Promise<T>): Promise<T> {
    try {
      return await attempt();
    } catch (error) {
      if (!oauth.isDPoPNonceError(error)) throw error;
      return attempt();
    }
  }

  const dpopFor = async (client: oauth.Client) => oauth.DPoP(client, await oauth.generateKeyPair('ES256'));

  async function parameters(verifier: string, client: oauth.Client, more: Record<string, string> = {}) {
    return {
      client_id: client.client_id,
      response_type: 'code',
      redirect_uri: CALLBACK,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      state: 'abc',
      resource: resource(),
      authorization_details: details('interop'),
      ...more,
    };
  }

  /** @proves interop.oauth4webapi, rfc9207.iss, rfc9449.nonce */
  test('discovers, gets a code with PKCE, RAR and a resource, a DPoP-bound token, refreshes, calls, introspects and revokes', async () => {
    const verifier = oauth.generateRandomCodeVerifier();
    const url = new URL(server.authorization_endpoint as string);
    url.search = new URLSearchParams(await parameters(verifier, app)).toString();
    const back = await authorize(url, owner, choose);
    const DPoP = await dpopFor(app);
    const callback = oauth.validateAuthResponse(server, app, back, 'abc');
    const token = await withNonce(async () => {
      const response = await oauth.authorizationCodeGrantRequest(
        server,
        app,
        oauth.None(),
        callback,
        CALLBACK,
        verifier,
        { DPoP, ...insecure },
      );
      return oauth.processAuthorizationCodeResponse(server, app, response);
    });
    assert.equal(token.token_type, 'dpop');
    assert.equal((token.authorization_details as unknown as { intent: string }[])[0]?.intent, 'interop');
    const renewed = await withNonce(async () => {
      const response = await oauth.refreshTokenGrantRequest(server, app, oauth.None(), String(token.refresh_token), {
        DPoP,
        ...insecure,
      });
      return oauth.processRefreshTokenResponse(server, app, response);
    });
    const called = await withNonce(() =>
      oauth.protectedResourceRequest(
        renewed.access_token,
        'POST',
        new URL(resource()),
        new Headers({ 'content-type': 'application/json', accept: 'application/json, text/event-stream' }),
        JSON.stringify({
          jsonrpc: '2.0',
          id: 1,
          method: 'initialize',
          params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } },
        }),
        { DPoP, ...insecure },
      ),
    );
    assert.equal(called.status, 200);
    const introspect = async (value: string) =>
      oauth.processIntrospectionResponse(
        server,
        app,
        await oauth.introspectionRequest(server, app, oauth.None(), value, insecure),
      );
    const { jkt } = claimsOf(renewed.access_token).cnf ?? {};
    for (const value of [renewed.access_token, String(renewed.refresh_token)]) {
      const answer = await introspect(value);
      assert.equal(answer.active, true);
      assert.equal(answer.sub, 'person:owner@example.test');
      assert.equal(answer.client_id, 'app');
      assert.match(String((answer.act as { sub?: string } | undefined)?.sub), /\/agent\/agent-a$/);
      assert.equal((answer.cnf as { jkt?: string } | undefined)?.jkt, jkt);
    }
    await oauth.processRevocationResponse(
      await oauth.revocationRequest(server, app, oauth.None(), String(renewed.refresh_token), insecure),
    );
    for (const value of [renewed.access_token, String(renewed.refresh_token)])
      assert.deepEqual(await introspect(value), { active: false });
  });

  test('pushes a request as a confidential client, whose code is then bound to the key of the push', async () => {
    const client: oauth.Client = { client_id: 'confidential' };
    const proven = oauth.PrivateKeyJwt(clientKeys.privateKey);
    const DPoP = await dpopFor(client);
    const verifier = oauth.generateRandomCodeVerifier();
    const request = await parameters(verifier, client);
    const pushed = await withNonce(async () => {
      const response = await oauth.pushedAuthorizationRequest(server, client, proven, request, { DPoP, ...insecure });
      return oauth.processPushedAuthorizationResponse(server, client, response);
    });
    const url = new URL(server.authorization_endpoint as string);
    url.search = new URLSearchParams({ client_id: 'confidential', request_uri: pushed.request_uri }).toString();
    const callback = oauth.validateAuthResponse(server, client, await authorize(url, owner, choose), 'abc');
    const redeem = (handle: oauth.DPoPHandle) =>
      withNonce(async () => {
        const options = { DPoP: handle, ...insecure };
        const response = await oauth.authorizationCodeGrantRequest(
          server,
          client,
          proven,
          callback,
          CALLBACK,
          verifier,
          options,
        );
        return oauth.processAuthorizationCodeResponse(server, client, response);
      });
    await assert.rejects(redeem(await dpopFor(client)), (error: oauth.ResponseBodyError) => {
      assert.equal(error.error, 'invalid_grant');
      assert.match(String(error.error_description), /dpop_jkt/);
      return true;
    });
    assert.ok((await redeem(DPoP)).access_token, 'the attempt with another key has not used the code up');
  });

  test('gets a token for a device code, with DPoP', async () => {
    const begun = await oauth.processDeviceAuthorizationResponse(
      server,
      app,
      await oauth.deviceAuthorizationRequest(server, app, oauth.None(), { resource: resource() }, insecure),
    );
    const DPoP = await dpopFor(app);
    const poll = () =>
      withNonce(async () => {
        const response = await oauth.deviceCodeGrantRequest(server, app, oauth.None(), begun.device_code, {
          DPoP,
          ...insecure,
        });
        return oauth.processDeviceCodeResponse(server, app, response);
      });
    await assert.rejects(poll(), { error: 'authorization_pending' });
    await answerConsent(deviceRequest(begun.user_code), owner, workspace.url, choose);
    const token = await poll();
    assert.equal(token.token_type, 'dpop');
    assert.ok(claimsOf(token.access_token).cnf?.jkt);
  });

  test('asks a person out of band (CIBA), with DPoP', async () => {
    const agent: oauth.Client = { client_id: AGENT };
    const proven = oauth.PrivateKeyJwt(keyOf(AGENT));
    const begun = await oauth.processBackchannelAuthenticationResponse(
      server,
      agent,
      await oauth.backchannelAuthenticationRequest(
        server,
        agent,
        proven,
        { scope: 'openid', login_hint: owner.email, authorization_details: details('out of band') },
        insecure,
      ),
    );
    const DPoP = await dpopFor(agent);
    const poll = () =>
      withNonce(async () => {
        const response = await oauth.backchannelAuthenticationGrantRequest(server, agent, proven, begun.auth_req_id, {
          DPoP,
          ...insecure,
        });
        return oauth.processBackchannelAuthenticationGrantResponse(server, agent, response);
      });
    await assert.rejects(poll(), { error: 'authorization_pending' });
    await answerConsent(await newestAsk(), owner, workspace.url);
    const { access_token } = await poll();
    assert.equal(claimsOf(access_token).sub, 'person:owner@example.test');
    assert.ok(claimsOf(access_token).cnf?.jkt);
  });
});

describe('openid-client', () => {
  const execute = [oidc.allowInsecureRequests];
  const discover = (id: string, authentication: oidc.ClientAuth) =>
    oidc.discovery(new URL(workspace.url), id, undefined, authentication, { algorithm: 'oauth2', execute });
  const dpopFor = async (config: oidc.Configuration) => oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair());

  /** @proves interop.openid-client */
  test('pushes its request, gets a code and tokens with DPoP, refreshes, introspects and revokes', async () => {
    const config = await discover('confidential', oidc.PrivateKeyJwt(clientKeys.privateKey));
    const DPoP = await dpopFor(config);
    const pkceCodeVerifier = oidc.randomPKCECodeVerifier();
    const url = await oidc.buildAuthorizationUrlWithPAR(
      config,
      {
        redirect_uri: CALLBACK,
        code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier),
        code_challenge_method: 'S256',
        state: 's',
        resource: resource(),
        authorization_details: details('by openid-client'),
      },
      { DPoP },
    );
    const back = await authorize(url, owner, choose);
    const token = await oidc.authorizationCodeGrant(config, back, { pkceCodeVerifier, expectedState: 's' }, undefined, {
      DPoP,
    });
    const renewed = await oidc.refreshTokenGrant(config, String(token.refresh_token), undefined, { DPoP });
    assert.equal((await oidc.tokenIntrospection(config, renewed.access_token)).active, true);
    await oidc.tokenRevocation(config, String(renewed.refresh_token));
    assert.equal((await oidc.tokenIntrospection(config, renewed.access_token)).active, false);
  });

  test('registers itself, and gets a token for a device code', async () => {
    const config = await oidc.dynamicClientRegistration(
      new URL(workspace.url),
      { client_name: 'Registered', redirect_uris: [CALLBACK], grant_types: [...DEVICE_GRANTS] } as object,
      oidc.None(),
      { algorithm: 'oauth2', execute },
    );
    const begun = await oidc.initiateDeviceAuthorization(config, { resource: resource() });
    await answerConsent(deviceRequest(begun.user_code), owner, workspace.url, choose);
    const token = await oidc.pollDeviceAuthorizationGrant(config, { ...begun, interval: 0 }, undefined, {
      DPoP: await dpopFor(config),
    });
    assert.equal(claimsOf(token.access_token).sub, 'person:owner@example.test');
  });

  test('asks a person out of band (CIBA)', async () => {
    const config = await discover(AGENT, oidc.PrivateKeyJwt(keyOf(AGENT)));
    const begun = await oidc.initiateBackchannelAuthentication(config, {
      scope: 'openid',
      login_hint: owner.email,
      binding_message: 'Look at order 1042',
      authorization_details: details('by openid-client'),
    });
    await answerConsent(await newestAsk(), owner, workspace.url);
    const token = await oidc.pollBackchannelAuthenticationGrant(config, { ...begun, interval: 0 }, undefined, {
      DPoP: await dpopFor(config),
    });
    assert.equal(claimsOf(token.access_token).sub, 'person:owner@example.test');
  });

  test('starts a task as an agent, which hands it on to another (token exchange)', async () => {
    const config = await discover(AGENT, oidc.PrivateKeyJwt(keyOf(AGENT)));
    const asked = { authorization_details: details('client credentials'), resource: resource() };
    const token = await oidc.clientCredentialsGrant(config, asked, { DPoP: await dpopFor(config) });
    assert.match(claimsOf(token.access_token).sub, /\/agent\/agent-a$/);
    const helper = await discover(HELPER, oidc.PrivateKeyJwt(keyOf(HELPER)));
    const handed = await oidc.genericGrantRequest(
      helper,
      'urn:ietf:params:oauth:grant-type:token-exchange',
      {
        subject_token: token.access_token,
        subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
        authorization_details: details('handed on'),
      },
      { DPoP: await dpopFor(helper) },
    );
    assert.match(claimsOf(handed.access_token).sub, /\/agent\/agent-a$/);
  });
});

const DEVICE_GRANTS = ['authorization_code', 'urn:ietf:params:oauth:grant-type:device_code'];
