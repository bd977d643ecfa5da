import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Manifest } from '@gatehouse/protocol';
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';
import { type AgentClient, createAgentClient } from '../testing/agent-client.ts';
import { type House, openHouse } from '../testing/house.ts';
import { assertNoAccessToken, assertNoGrant } from '../testing/no-credential.ts';

/** Identity tokens as a cloud sees them: discovery, keys, and a token that is checked by a library of somebody else. */
let house: House;
let agent: AgentClient;
let accessToken = '';
const AGENT = 'agent-a';
const SPIFFE_ID = `spiffe://example.test/env/prod/agent/${AGENT}`;

before(async () => {
  house = await openHouse();
  await house.furnish();
  agent = await createAgentClient(house, await house.enrol(AGENT));
  // The worst that an operator could trust: these issuers themselves, for this agent.
  for (const issuer of ['identity', 'signed']) {
    const itself = { type: 'oidc', url: `${house.publicUrl}/${issuer}`, allowPrivateAddress: true };
    await house.apply({
      ...{ kind: 'TrustRule', name: `own-${issuer}`, issuer: itself, claims: { sub: SPIFFE_ID }, agent: AGENT },
    } as never as Manifest);
  }
  accessToken = (await agent.startTask()).access_token;
});
after(() => house.close());

const request = { environment: 'prod', agent: AGENT, task: 'tsk_1', lease: 'lse_1' };
const tokenFor = async (audience: string, more: object = {}) =>
  (await house.identity.identityTokens.sign({ ...request, audience, ...more })).reveal();

const signedFor = async (audience: string) =>
  (await house.identity.signedTokens.sign({ ...request, audience })).reveal();

async function verify(token: string, audience: string, at = 'identity') {
  const { issuer, jwks_uri, id_token_signing_alg_values_supported } = (await (
    await fetch(`${house.publicUrl}/${at}/.well-known/openid-configuration`)
  ).json()) as { issuer: string; jwks_uri: string; id_token_signing_alg_values_supported: string[] };
  assert.equal(issuer, `${house.publicUrl}/${at}`);
  return jwtVerify(token, createRemoteJWKSet(new URL(jwks_uri)), {
    ...{ issuer, audience, algorithms: id_token_signing_alg_values_supported },
  });
}

describe('an identity token', () => {
  /** @proves identity-token.verified */
  test('is verified by what its issuer publishes, says who and in which task, and lives for minutes', async () => {
    const token = await tokenFor('sts.amazonaws.com', { claims: { note: 'more', sub: 'somebody else', iss: 'x' } });
    const { payload, protectedHeader } = await verify(token, 'sts.amazonaws.com');
    assert.equal(protectedHeader.alg, 'RS256');
    const { iat = 0, exp = 0, jti: _, nbf: __, ...said } = payload;
    assert.equal(exp - iat, 300);
    assert.deepEqual(said, {
      ...{ note: 'more', iss: `${house.publicUrl}/identity`, sub: SPIFFE_ID, aud: 'sts.amazonaws.com' },
      ...{ environment: 'prod', agent: AGENT, task: 'tsk_1', lease: 'lse_1' },
    });
  });

  /** @proves identity-token.one-audience */
  test('is good for one audience, and never for ours', async () => {
    const token = await tokenFor('api://AzureADTokenExchange');
    await assert.rejects(verify(token, 'sts.amazonaws.com'), { code: 'ERR_JWT_CLAIM_VALIDATION_FAILED' });
    for (const own of [house.publicUrl, house.resource, `${house.publicUrl}/oauth/token`])
      for (const made of [tokenFor(own), signedFor(own)])
        await assert.rejects(made, { code: 'identity-token.audience' });
  });

  /** @proves identity-token.no-credential */
  test('is nothing at our own doors, also where its issuer is trusted', async () => {
    for (const audience of ['https://tools.example', AGENT, SPIFFE_ID, new URL(house.publicUrl).host]) {
      for (const token of [await tokenFor(audience), await signedFor(audience)]) {
        await assertNoAccessToken(house, agent, token);
        await assertNoGrant(house, agent, token, accessToken);
      }
    }
  });

  /** @proves identity-token.own-issuer */
  test('shares no key with anything that an agent can have: whoever trusts its issuer trusts no token of an agent', async () => {
    const { keys: own } = (await (await fetch(`${house.publicUrl}/oauth/jwks`)).json()) as { keys: { kid: string }[] };
    const published = await house.identity.keyInventory.list();
    const { keys } = (await (await fetch(`${house.publicUrl}/identity/jwks`)).json()) as { keys: { kid: string }[] };
    const listed = published.find(({ purpose }) => purpose === 'identity-token')?.keys.map(({ kid }) => kid);
    assert.deepEqual(
      keys.map(({ kid }) => kid),
      listed,
    );
    assert.ok(!own.some(({ kid }) => listed?.includes(kid)));
    await assert.rejects(verify(accessToken, house.resource));
    // What an agent may be handed, for whatever audience a provider names.
    const signed = await signedFor('sts.amazonaws.com');
    assert.equal((await verify(signed, 'sts.amazonaws.com', 'signed')).payload.sub, SPIFFE_ID);
    await assert.rejects(verify(signed, 'sts.amazonaws.com'));
    await assert.rejects(verify(await tokenFor('sts.amazonaws.com'), 'sts.amazonaws.com', 'signed'));
    const { kid } = decodeProtectedHeader(signed);
    assert.ok(![...keys, ...own].some((each) => each.kid === kid));
  });

  test('of a test of a provider is nobody’s', async () => {
    const { payload } = await verify(await tokenFor('x', { agent: '', task: '' }), 'x');
    assert.equal(payload.sub, 'spiffe://example.test/env/prod/gatehouse/test');
    assert.ok(!('agent' in payload) && !('task' in payload));
  });

  /** @proves keys.rotation */
  test('its next key is published a day before it signs', async () => {
    const before = (await house.identity.keyInventory.list()).find(({ purpose }) => purpose === 'identity-token');
    const by = 'person:owner@example.test';
    const { kid } = await house.identity.keyInventory.rotate('identity-token', { by, compromised: false });
    const [old] = before?.keys ?? [];
    const signer = async () =>
      JSON.parse(Buffer.from((await tokenFor('x')).split('.')[0] ?? '', 'base64url').toString()).kid;
    assert.equal(await signer(), old?.kid);
    house.pass(24 * 3_600_000);
    await house.settled();
    assert.equal(await signer(), kid);
  });
});
