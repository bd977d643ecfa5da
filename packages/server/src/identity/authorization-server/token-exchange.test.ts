import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { resourceServerManifest, type Task } from '@gatehouse/protocol';
import { decodeJwt } from 'jose';
import * as oauth from 'oauth4webapi';
import { limits } from '../../platform/index.ts';
import type { Agent } from '../../registry/index.ts';
import {
  type AgentClient,
  createAgentClient,
  insecure,
  supportTask,
  type TokenResponse,
} from '../testing/agent-client.ts';
import { agentManifest, createKey, type EnrolledAgent, type House, openHouse } from '../testing/house.ts';
import { ACCESS_TOKEN, TOKEN_EXCHANGE } from '../testing/oauth-names.ts';
import { assertCleanLog, assertRefused, type RequestChange } from '../testing/refusals.ts';
import { createCsr } from '../testing/svid-client.ts';

const USER = 'user@example.test';
const names = Array.from({ length: limits.actorChainDepth + 1 }, (_, at) => `agent-${'abcdefghi'[at]}-prod`);

let house: House;
const agents = new Map<string, EnrolledAgent>();
const clients = new Map<string, AgentClient>();
const client = (name: string) => clients.get(name) as AgentClient;
const [A = '', B = '', C = ''] = names;

/** Nine agents, each of which names the next one, and one whom nobody names. */
before(async () => {
  house = await openHouse();
  await house.furnish();
  await house.apply({ kind: 'Person', email: USER, displayName: 'User', roles: ['owner'] });
  for (const [at, name] of [...names, 'agent-stranger-prod'].entries()) {
    const key = await createKey();
    const next = names[at + 1];
    const delegatesTo = { agents: next === undefined ? [] : [next, ...(at === 1 ? [A] : [])], blueprints: [] };
    await house.apply(agentManifest(name, { keys: [key.publicJwk], delegatesTo }));
    agents.set(name, { name, ...key });
    clients.set(name, await createAgentClient(house, { name, ...key }));
  }
});
after(() => house.close());

const exchange = (subject: string, more: Record<string, string | string[] | undefined> = {}): RequestChange => ({
  form: {
    grant_type: TOKEN_EXCHANGE,
    subject_token: subject,
    subject_token_type: ACCESS_TOKEN,
    resource: undefined,
    ...more,
  },
});

/** By a foreign library, with DPoP. */
async function handOn(to: string, subject: string, details: object = supportTask): Promise<TokenResponse> {
  const { server, client: registered, authentication, proofKeys } = client(to);
  const DPoP = oauth.DPoP(registered, proofKeys);
  const parameters = {
    subject_token: subject,
    subject_token_type: ACCESS_TOKEN,
    authorization_details: JSON.stringify([details]),
  };
  const response = await oauth.genericTokenEndpointRequest(
    server,
    registered,
    authentication,
    TOKEN_EXCHANGE,
    parameters,
    {
      DPoP,
      ...insecure,
    },
  );
  return (await oauth.processGenericTokenEndpointResponse(server, registered, response)) as unknown as TokenResponse;
}

/** The status of a call at the door. */
const statusOf = async (by: string, token: string): Promise<number> => {
  try {
    return (await client(by).call(token)).status;
  } catch (error) {
    if (error instanceof oauth.WWWAuthenticateChallengeError) return error.status;
    throw error;
  }
};

const claimsOf = (token: string) => decodeJwt(token) as Record<string, never>;
const chainIn = (claims: { act?: { sub: string; act?: never } }): string[] =>
  claims.act ? [claims.act.sub, ...chainIn(claims.act)] : [];

/** @proves rfc8693.exchange */
test('oauth4webapi exchanges an agent’s token for a task of another agent, which carries the chain and nobody else’s key', async () => {
  const first = await client(A).startTask();
  const second = await handOn(B, first.access_token);
  assert.equal((second as { issued_token_type?: string }).issued_token_type, ACCESS_TOKEN);
  assert.equal(second.token_type.toLowerCase(), 'dpop');
  const [parent, child] = [claimsOf(first.access_token), claimsOf(second.access_token)] as Record<string, never>[];
  assert.equal(child?.sub, `spiffe://example.test/env/prod/agent/${A}`);
  assert.equal(child.sub_profile, 'ai_agent');
  assert.deepEqual(child.act, {
    iss: house.publicUrl,
    sub: `spiffe://example.test/env/prod/agent/${B}`,
    sub_profile: 'ai_agent',
  });
  assert.equal(child.client_id, B);
  assert.equal(child.aud, parent?.aud);
  assert.ok(Number(child.exp) <= Number(parent?.exp));
  assert.notDeepEqual(child.cnf, parent?.cnf);
  const called = await client(B).call(second.access_token);
  assert.equal(called.status, 200);
  const caller = (await called.json()) as { chain: { agent: string }[]; task: { parent: string } };
  assert.deepEqual(
    caller.chain.map(({ agent }) => agent),
    [A],
  );
  assert.equal(caller.task.parent, first.authorization_details[0].task);
  const started = (await house.records('task.start')).at(-1);
  assert.ok(started?.changes.includes(`parent: ${first.authorization_details[0].task}`));
});

/** @proves law-5.depth */
test('a chain of eight agents is carried whole, for a user too; a ninth is refused and never cut short', async () => {
  const task = await house.registry.startTask(A, { ...supportTask, type: 'urn:gatehouse:task' }, { user: USER });
  let { access_token: token } = await client(A).startTask({ type: 'urn:gatehouse:task', task: task.id });
  assert.equal(claimsOf(token).sub, `person:${USER}`);
  let ends = Number(claimsOf(token).exp);
  for (const name of names.slice(1, limits.actorChainDepth)) {
    token = (await handOn(name, token)).access_token;
    assert.ok(Number(claimsOf(token).exp) <= ends, 'a child outlives its parent');
    ends = Number(claimsOf(token).exp);
  }
  assert.deepEqual(
    chainIn(claimsOf(token)).map((sub) => sub.split('/').at(-1)),
    names.slice(0, limits.actorChainDepth).reverse(),
  );
  assert.equal(claimsOf(token).sub, `person:${USER}`);
  const called = await client(names[limits.actorChainDepth - 1] as string).call(token);
  assert.equal(called.status, 200, await called.text());
  const ninth = names.at(-1) as string;
  await assertRefused(house, client(ninth), exchange(token), {
    status: 400,
    error: 'invalid_request',
    says: /8 agents in its chain/,
  });
});

test('what the subject token, the actor and the request must be, each refused with its own error', async () => {
  const { access_token: token } = await client(A).startTask();
  const { access_token: narrow } = await client(A).startTask(supportTask, `${house.resource}/shop`);
  const handed = (await handOn(B, token)).access_token;
  const stranger = client('agent-stranger-prod');
  const [header, payload, signature] = token.split('.') as [string, string, string];
  const forged = [
    header,
    Buffer.from(JSON.stringify({ ...claimsOf(token), act: { iss: 'x', sub: A, sub_profile: 'ai_agent' } })).toString(
      'base64url',
    ),
    signature,
  ].join('.');
  const invalid = { status: 400, error: 'invalid_request' };
  const cases: [string, AgentClient, RequestChange, { status: number; error: string; says: RegExp }][] = [
    ['no subject', client(B), exchange(token, { subject_token: undefined }), { ...invalid, says: /subject_token/ }],
    [
      'another type',
      client(B),
      exchange(token, { subject_token_type: 'x' }),
      { ...invalid, says: /subject_token_type/ },
    ],
    ['a forged act', client(B), exchange(forged), { ...invalid, says: /signature/ }],
    ['garbage', client(B), exchange(`${payload}.a.b`), { ...invalid, says: /subject_token is refused/ }],
    ['a stranger', stranger, exchange(token), { status: 400, error: 'actor_unauthorized', says: /delegatesTo/ }],
    [
      'not the next one',
      client(C),
      exchange(token),
      { status: 400, error: 'actor_unauthorized', says: /hand tasks on/ },
    ],
    ['its own token', client(A), exchange(token), { ...invalid, says: /in the chain/ }],
    ['back to the first', client(A), exchange(handed), { ...invalid, says: /in the chain/ }],
    [
      'another’s actor token',
      client(B),
      exchange(token, { actor_token: token, actor_token_type: ACCESS_TOKEN }),
      { status: 400, error: 'actor_unauthorized', says: /actor_token/ },
    ],
    [
      'a wider audience',
      client(B),
      exchange(narrow, { resource: house.resource }),
      { status: 400, error: 'invalid_target', says: /would be for more/ },
    ],
    [
      'another server',
      client(B),
      exchange(narrow, { audience: `${house.resource}/mail` }),
      { status: 400, error: 'invalid_target', says: /would be for more/ },
    ],
    [
      'a foreign audience',
      client(B),
      exchange(token, { audience: 'https://other.example' }),
      { status: 400, error: 'invalid_target', says: /resource must be/ },
    ],
    ['scopes', client(B), exchange(token, { scope: 'all' }), { status: 400, error: 'invalid_scope', says: /scopes/ }],
    [
      'a refresh token',
      client(B),
      exchange(token, { requested_token_type: 'urn:ietf:params:oauth:token-type:refresh_token' }),
      { ...invalid, says: /requested_token_type/ },
    ],
    [
      'a running task',
      client(B),
      exchange(token, {
        authorization_details: JSON.stringify([
          { type: 'urn:gatehouse:task', task: decodeJwt<{ gatehouse: { task: string } }>(token).gatehouse.task },
        ]),
      }),
      { ...invalid, says: /new one/ },
    ],
  ];
  for (const [, by, change, expected] of cases) await assertRefused(house, by, change, expected);
});

test('one server’s address stays one server’s, whatever address a later token of the task is asked for', async () => {
  const { access_token: narrow } = await client(A).startTask(supportTask, `${house.resource}/shop`);
  const child = await handOn(B, narrow);
  assert.equal(claimsOf(child.access_token).aud, `${house.resource}/shop`);
  const task = await house.registry.task(child.authorization_details[0].task);
  assert.deepEqual(task?.narrowing, { tools: ['shop/*', 'shop#resources', 'shop#prompts'] });
  const both = await handOn(B, narrow, { ...supportTask, tools: ['*', 'mail/send'] });
  assert.deepEqual((await house.registry.task(both.authorization_details[0].task))?.narrowing, { tools: ['shop/*'] });
});

/** @proves law-5.ancestors */
test('no exchange with a token that is revoked, expired or of a stopped agent or task; what was handed on ends with them', async () => {
  const stops: [string, (task: string, token: string) => Promise<unknown>, () => Promise<unknown>][] = [
    ['ends its task', (task) => house.registry.endTask(task, 'gatehouse'), async () => undefined],
    [
      'is suspended',
      () => house.registry.setAgentState(A, 'suspended', 'gatehouse'),
      () => house.registry.setAgentState(A, 'active', 'gatehouse'),
    ],
    [
      'is killed',
      () => house.registry.setAgentState(A, 'suspended', 'gatehouse', { killed: true }),
      () => house.registry.setAgentState(A, 'active', 'gatehouse'),
    ],
  ];
  for (const [what, stop, undo] of stops) {
    const first = await client(A).startTask();
    const task = first.authorization_details[0].task;
    const child = await handOn(B, first.access_token);
    const grandchild = await handOn(C, child.access_token);
    assert.equal(await statusOf(C, grandchild.access_token), 200);
    await stop(task, first.access_token);
    await house.settled();
    assert.equal(await statusOf(B, child.access_token), 401, `the child goes on after ${A} ${what}`);
    assert.equal(await statusOf(C, grandchild.access_token), 401, `a grandchild goes on after ${A} ${what}`);
    for (const [by, subject] of [
      [B, first.access_token],
      [C, child.access_token],
    ] as const)
      await assertRefused(house, client(by), exchange(subject), {
        status: 400,
        error: 'invalid_request',
        says: /subject_token is refused/,
      });
    const again = await client(B).post({
      form: {
        authorization_details: JSON.stringify([
          { type: 'urn:gatehouse:task', task: child.authorization_details[0].task },
        ]),
      },
    });
    assert.equal(again.status, 400, `a new token for the child after ${A} ${what}`);
    await undo();
    await house.settled();
  }
  const revoked = await client(A).startTask();
  await client(A).revoke(revoked.access_token);
  await house.settled();
  await assertRefused(house, client(B), exchange(revoked.access_token), {
    status: 400,
    error: 'invalid_request',
    says: /revoked/,
  });
  assertCleanLog(house);
});

/** @proves rfc7009.whatever-its-chain */
test('a token that was given back does not come back with its chain, which was suspended at that moment', async () => {
  const first = await client(A).startTask();
  const child = await handOn(B, first.access_token);
  await house.registry.setAgentState(A, 'suspended', 'gatehouse');
  await house.settled();
  await client(B).revoke(child.access_token);
  await house.registry.setAgentState(A, 'active', 'gatehouse');
  await house.settled();
  assert.equal(await statusOf(B, child.access_token), 401);
});

/** @proves id-jag.issue */
/** @proves law-5.withdrawn */
test('whoever may be handed no tasks any more takes the person of one nowhere, and has no new token or SVID for it', async () => {
  const manifest = (to: string[]) => {
    const delegatesTo = { agents: to, blueprints: [] };
    return agentManifest(A, { keys: [(agents.get(A) as EnrolledAgent).publicJwk], delegatesTo });
  };
  const issuer = 'https://elsewhere.example';
  await house.apply(
    { kind: 'Group', name: 'travellers', members: [USER], allow: [] },
    resourceServerManifest.parse({
      kind: 'ResourceServer',
      name: 'elsewhere',
      issuer,
      resources: [],
      scopes: [],
      clients: { [B]: B },
      templates: ['support'],
      groups: ['travellers'],
    }),
  );
  const task = await house.registry.startTask(A, { ...supportTask, type: 'urn:gatehouse:task' }, { user: USER });
  const first = await client(A).startTask({ type: 'urn:gatehouse:task', task: task.id });
  const { access_token: token, authorization_details } = await handOn(B, first.access_token);
  const wish = {
    requested_token_type: 'urn:ietf:params:oauth:token-type:id-jag',
    audience: issuer,
    authorization_details: undefined,
  };
  assert.equal((await client(B).post(exchange(token, wish))).status, 200);
  const { trustDomain } = house.identity;
  const handed = (await house.registry.task(authorization_details[0].task)) as Task;
  const subject = () => ({ agent: house.registry.snapshot().agents.get(B) as Agent, task: handed });
  const x509 = () => trustDomain.issueX509({ subject: subject(), csr: createCsr().der, via: 'test' });
  const jwt = () => trustDomain.issueJwt({ subject: subject(), audience: ['shop'], via: 'test' });
  await jwt();
  const svid = await trustDomain.verifySvid((await x509()).chain);
  assert.equal(await trustDomain.whyRefused(svid), undefined);
  await house.apply(manifest([]));
  try {
    await assertRefused(house, client(B), exchange(token, wish), {
      status: 400,
      error: 'actor_unauthorized',
      says: /does not hand tasks on/,
    });
    const continued = JSON.stringify([{ type: 'urn:gatehouse:task', task: handed.id }]);
    await assertRefused(
      house,
      client(B),
      { form: { authorization_details: continued } },
      { status: 400, error: 'unauthorized_client', says: /does not hand tasks on/ },
    );
    await assert.rejects(x509(), { code: 'agent.chain' });
    await assert.rejects(jwt(), { code: 'agent.chain' });
    assert.match((await trustDomain.whyRefused(svid)) ?? '', /does not hand tasks on/);
  } finally {
    await house.apply(manifest([B]));
  }
  await client(B).startTask({ type: 'urn:gatehouse:task', task: handed.id });
});

test('a token that has run out is not exchanged, although its task is running', async () => {
  const other = await openHouse();
  try {
    await other.furnish();
    const key = await createKey();
    await other.apply(agentManifest(A, { keys: [key.publicJwk], delegatesTo: { agents: [B], blueprints: [] } }));
    const a = await createAgentClient(other, { name: A, ...key });
    const b = await createAgentClient(other, await other.enrol(B));
    const { access_token: token } = await a.startTask();
    other.pass((limits.tokenTtlSeconds + 1) * 1_000);
    await other.settled();
    const { status, body } = await b.post({ ...exchange(token), bearer: true });
    assert.deepEqual([status, body.error], [400, 'invalid_request'], JSON.stringify(body));
    assert.match(String(body.error_description), /expired/);
  } finally {
    await other.close();
  }
});
