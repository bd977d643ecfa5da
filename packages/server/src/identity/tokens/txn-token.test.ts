import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Manifest, ManifestInput } from '@gatehouse/protocol';
import { readOutsideToken } from '../federation/outside-token.ts';
import { type AgentClient, createAgentClient } from '../testing/agent-client.ts';
import { type House, openHouse } from '../testing/house.ts';
import { assertNoAccessToken, assertNoGrant } from '../testing/no-credential.ts';
import { signCompactJws } from './jws.ts';

/**
 * A transaction token is signed with the key of access tokens, so that only its type and its shape keep it from being one. Here it is
 * presented where it could do most: with every audience that a door of ours has, in a workspace that trusts its own keys everywhere.
 */
let house: House;
let agent: AgentClient;
let accessToken = '';
let taskId = '';
const AGENT = 'agent-a';
const SPIFFE_ID = `spiffe://example.test/env/prod/agent/${AGENT}`;

before(async () => {
  house = await openHouse();
  await house.furnish();
  agent = await createAgentClient(house, await house.enrol(AGENT));
  const itself = { type: 'oidc', url: house.publicUrl, allowPrivateAddress: true };
  const trusting: ManifestInput[] = [
    { kind: 'TrustRule', name: 'own-keys', issuer: itself, claims: { sub: SPIFFE_ID }, agent: AGENT } as never,
    {
      kind: 'IdentityProvider',
      name: 'own-keys',
      displayName: 'Itself',
      issuer: house.publicUrl,
      clientId: house.publicUrl,
      allowPrivateAddress: true,
      tokenExchange: {},
      idJag: { agents: [AGENT], template: 'support' },
    } as never,
  ];
  await house.apply(...(trusting as Manifest[]));
  const { access_token, authorization_details } = await agent.startTask();
  accessToken = access_token;
  taskId = authorization_details[0].task;
});
after(() => house.close());

/** As the gate makes it, for a server at this address. */
async function txnToken(audience: string): Promise<string> {
  const task = await house.registry.task(taskId);
  assert.ok(task);
  return house.identity.txnTokens.sign({
    actionId: 'act_1',
    caller: {
      agent: AGENT,
      agentEpoch: 1,
      task,
      actorChain: [{ sub: SPIFFE_ID, profile: 'ai_agent' }],
      chain: [],
      tokenId: 'tok_1',
      proofKey: null,
      expiresAt: task.expiresAt,
    },
    operation: 'tools/call',
    tool: 'shop/refund',
    definition: null,
    name: 'refund',
    arguments: {},
    approval: null,
    audience,
  });
}

const audiences = () => [
  'https://tools.example',
  house.publicUrl,
  house.resource,
  `${house.publicUrl}/oauth/token`,
  AGENT,
  SPIFFE_ID,
];

describe('a transaction token', () => {
  /** @proves txn-token.no-credential */
  test('is no access token at a door, whatever it is for and however it is presented', async () => {
    for (const audience of audiences()) await assertNoAccessToken(house, agent, await txnToken(audience));
  });

  /** @proves txn-token.no-credential */
  test('is nothing that the token endpoint takes: no subject, actor, assertion, code or proof, whoever presents it', async () => {
    for (const audience of audiences()) await assertNoGrant(house, agent, await txnToken(audience), accessToken);
  });

  /** @proves txn-token.no-credential */
  test('is for its type alone no identity token where the keys of another Gatehouse are trusted', async () => {
    const token = await txnToken('https://other-gatehouse.example');
    assert.throws(() => readOutsideToken(token), { code: 'outside-token.type' });
    const plain = signCompactJws({ alg: 'ES256', typ: 'JWT' }, { iss: 'x' }, house.identity.keys.signer().key);
    assert.equal(readOutsideToken(plain).claims.iss, 'x');
  });

  /** @proves txn-token.verified */
  test('runs out within a minute, and with its task', async () => {
    const claimsOf = async () =>
      JSON.parse(Buffer.from((await txnToken('https://a.example')).split('.')[1] ?? '', 'base64url').toString());
    const { iat, exp } = await claimsOf();
    assert.equal(exp - iat, 60);
    const task = await house.registry.task(taskId);
    const left = (task?.expiresAt ?? 0) - house.clock.now();
    house.pass(left - 10_000);
    assert.equal((await claimsOf()).exp, Math.floor((task?.expiresAt ?? 0) / 1000));
    house.pass(10_000 - left);
  });
});
