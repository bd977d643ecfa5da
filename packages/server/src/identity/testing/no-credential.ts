import assert from 'node:assert/strict';
import type { AgentClient } from './agent-client.ts';
import type { House } from './house.ts';

/** No door that takes access tokens takes this one, however it is presented. */
export async function assertNoAccessToken(house: House, agent: AgentClient, token: string): Promise<void> {
  for (const scheme of ['DPoP', 'Bearer']) {
    const request = {
      authorization: `${scheme} ${token}`,
      dpop: await agent.proof(house.resource, { token }),
      method: 'POST',
      url: '/mcp',
    };
    await assert.rejects(house.identity.tokens.authenticate(request), { code: 'token.invalid' }, token);
  }
  assert.deepEqual(await agent.introspect(token), { active: false });
  await agent.revoke(token);
  const bodies: Record<string, object> = {
    '/svid/x509': { csr: 'AAAA' },
    '/svid/jwt': { audience: ['a'] },
    '/svid/bundles': {},
  };
  for (const path of Object.keys(bodies)) {
    const response = await fetch(house.publicUrl + path, {
      method: 'POST',
      headers: {
        authorization: `DPoP ${token}`,
        dpop: await agent.proof(house.publicUrl + path, { token }),
        'content-type': 'application/json',
      },
      body: JSON.stringify(bodies[path]),
    });
    assert.equal(response.status, 401, `${path} ${await response.text()}`);
  }
}

/** The token endpoint gives nothing for it, in any place of any grant. */
export async function assertNoGrant(
  house: House,
  agent: AgentClient,
  token: string,
  accessToken: string,
): Promise<void> {
  const type = (name: string) => `urn:ietf:params:oauth:token-type:${name}`;
  const exchange = 'urn:ietf:params:oauth:grant-type:token-exchange';
  const bearer = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
  const forms: Record<string, string | undefined>[] = [
    ...['access_token', 'jwt', 'id_token', 'id-jag', 'txn_token', 'refresh_token', 'saml2'].map((name) => ({
      grant_type: exchange,
      subject_token: token,
      subject_token_type: type(name),
    })),
    ...['access_token', 'id-jag', 'txn_token'].map((name) => ({
      grant_type: exchange,
      subject_token: accessToken,
      subject_token_type: type('access_token'),
      requested_token_type: type(name),
      actor_token: token,
      actor_token_type: type('access_token'),
    })),
    {
      grant_type: exchange,
      subject_token: token,
      subject_token_type: type('access_token'),
      requested_token_type: type('id-jag'),
      audience: house.publicUrl,
    },
    { grant_type: bearer, assertion: token },
    { grant_type: bearer, assertion: token, client_assertion: undefined, client_assertion_type: undefined },
    { grant_type: 'client_credentials', client_assertion: token },
    {
      grant_type: 'client_credentials',
      client_assertion: token,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe',
    },
    { grant_type: 'refresh_token', refresh_token: token },
    {
      grant_type: 'authorization_code',
      code: token,
      redirect_uri: 'https://app.example/callback',
      code_verifier: 'x'.repeat(43),
    },
    { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code: token },
    { grant_type: 'urn:openid:params:grant-type:ciba', auth_req_id: token },
  ];
  const issued = async () => (await house.records('token.issue')).length + (await house.records('id-jag.issue')).length;
  const before = await issued();
  for (const form of forms) {
    const { status, body } = await agent.post({ form });
    assert.ok(status === 400 || status === 401, `${JSON.stringify(form)} gave ${status}`);
    assert.equal(body.access_token, undefined);
  }
  const asProof = await agent.post({ headers: { dpop: token } });
  assert.equal(asProof.body.error, 'invalid_dpop_proof');
  assert.equal(await issued(), before);
}
