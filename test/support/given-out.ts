import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { ManifestInput } from '@gatehouse/protocol';
import { type AgentKey, createAgent } from '@gatehouse/sdk';
import { agentKeyFromJwk } from '@gatehouse/sdk/agent-key';
import { enrolAgent } from '@gatehouse/sdk/enrol';
import { createSvidSource } from '@gatehouse/sdk/svid';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { SignedInPerson, Workspace } from './workspace.ts';

const AGENT = 'agent-bearer';
const ISSUER = 'https://issuer.example.test';
const task = { template: 'all', intent: 'test' };

/**
 * Gives out what lets others act later: a person's delegation, a join token, a JWT-SVID, and a workload's proofs by a trust rule, one of them used.
 * `checkWorthless` is for the same workspace, restored.
 */
export async function giveOut(workspace: Workspace, owner: SignedInPerson, key: AgentKey) {
  const { url } = workspace;
  const pair = await generateKeyPair('ES256');
  const jwk = { ...(await exportJWK(pair.publicKey)), kid: 'one', alg: 'ES256' };
  await workspace.apply(workloadManifests(jwk));
  const prove = () =>
    new SignJWT({ sub: 'tickets', jti: randomUUID() })
      .setProtectedHeader({ alg: 'ES256', kid: 'one', typ: 'JWT' })
      .setIssuer(ISSUER)
      .setAudience(url)
      .setIssuedAt()
      .setExpirationTime('1h')
      .sign(pair.privateKey);
  const start = async (token: string) => {
    const response = await fetch(`${url}/workload/tasks`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ proof: { token }, agent: AGENT, task: { type: 'urn:gatehouse:task', ...task } }),
    });
    return [response.status, ((await response.json()) as { title?: string }).title];
  };
  const present = async (svid: string) => {
    const body = new URLSearchParams({
      grant_type: 'client_credentials',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe',
      client_assertion: svid,
      authorization_details: JSON.stringify([{ type: 'urn:gatehouse:task', ...task }]),
    });
    return (await fetch(`${url}/oauth/token`, { method: 'POST', body })).status;
  };
  const enrol = async (joinToken: string) => {
    const { privateKey } = await generateKeyPair('ES256', { extractable: true });
    return enrolAgent({ url, key: await agentKeyFromJwk(await exportJWK(privateKey)), proof: { joinToken } });
  };
  const agent = { params: { name: AGENT } };
  const makeJoinToken = async () =>
    (await workspace.operator('POST /agents/:name/join-tokens', { ...agent, body: {} })).token;

  const [used, unused] = [await prove(), await prove()];
  assert.deepEqual(await start(used), [200, undefined], 'while it was there it was good');
  const source = createSvidSource({ url, agent: AGENT, key });
  assert.equal(await present((await source.jwt([url])).token), 200, 'so was this');
  await enrol(await makeJoinToken());
  const svid = (await source.jwt([url], 3_600)).token;
  const joinToken = await makeJoinToken();
  const delegation = await owner.api('POST /delegations', { body: { agent: AGENT, template: 'all' } });
  const underIt = await (await createAgent({ url, agent: AGENT, key, bearerOnly: true })).startTask({
    ...task,
    delegation: delegation.id,
  });
  source.close();

  return {
    async checkWorthless(restored: Workspace): Promise<void> {
      assert.deepEqual(
        (await restored.operator('GET /workloads')).items.map(({ name, state }) => [name, state]),
        [['tickets', 'suspended']],
      );
      assert.deepEqual(await start(unused), [403, 'workload.suspended']);
      await assert.rejects(enrol(joinToken), 'while the agent is suspended');
      await restored.operator('POST /workloads/:name/state', {
        params: { name: 'tickets' },
        body: { state: 'active' },
      });
      await restored.operator('POST /agents/:name/state', { ...agent, body: { state: 'active' } });

      await assert.rejects(enrol(joinToken), /join token/);
      assert.deepEqual((await restored.operator('GET /agents/:name/join-tokens', agent)).items, []);
      assert.equal(await present(svid), 401, 'a JWT-SVID of before');
      const client = await createAgent({ url, agent: AGENT, key, bearerOnly: true });
      await assert.rejects(client.startTask({ ...task, delegation: delegation.id }), /was revoked/);
      await assert.rejects(client.resumeTask(underIt.id), 'a task under it');
      const { items } = await restored.operator('GET /delegations', { query: { agent: AGENT } });
      assert.deepEqual(
        items.map(({ state }) => state),
        ['revoked'],
      );
      assert.equal((await start(used))[0], 403, 'what was used once is not used again');
      assert.deepEqual(
        await start(await prove()),
        [200, undefined],
        'the issuer vouches still, and the workload is active',
      );
    },
  };
}

function workloadManifests(jwk: object): ManifestInput[] {
  return [
    {
      kind: 'Workload',
      name: 'tickets',
      owner: 'owner@example.test',
      purpose: 'tests',
      environment: 'production',
      starts: [AGENT],
    },
    {
      kind: 'TrustRule',
      name: 'tickets',
      issuer: { type: 'oidc', url: ISSUER, jwks: { keys: [jwk as never] } },
      claims: { sub: 'tickets' },
      workload: 'tickets',
    },
  ];
}
