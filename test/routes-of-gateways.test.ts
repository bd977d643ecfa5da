import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { AgentTask } from '@gatehouse/sdk';
import { Agent, fetch as undiciFetch } from 'undici';
import { authzenPaths } from '../packages/server/src/gate/authzen/door.ts';
import { extAuthzPrefix } from '../packages/server/src/gate/ext-authz/http-door.ts';
import { manifests } from './support/fixtures.ts';
import { createPlatform, type GatewayClient, openGateway } from './support/gateway.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

/**
 * Law 2 where other gateways ask (AuthZEN, Envoy's external authorization): every route, tried with no credential, a foreign, an expired one, one for
 * another audience, and a valid one of somebody who is no gateway. The paths come from the doors themselves.
 */
const { metadata, ...asked } = authzenPaths;
const authzen: [string, string][] = [
  ...Object.values(asked).map((path): [string, string] => ['POST', path]),
  ['GET', `${authzenPaths.requests}/apr_x`],
];
const extAuthz: [string, string][] = ['GET', 'POST', 'DELETE'].flatMap((method) =>
  ['/mcp', '/orders/1042'].map((path): [string, string] => [method, extAuthzPrefix + path]),
);
const all = [...authzen, ...extAuthz];

let ahead = 0;
let workspace: Workspace;
let task: AgentTask;
let edge: GatewayClient;
let plain: GatewayClient;
let stranger: GatewayClient;
let elsewhere: Workspace;
const dispatchers: Agent[] = [];

/** Over mutual TLS; the server is believed, because what is tried is whether it believes. */
function clientWith(files: Partial<GatewayClient['files']> = {}): Agent {
  const dispatcher = new Agent({ connect: { ...files, rejectUnauthorized: false } });
  dispatchers.push(dispatcher);
  return dispatcher;
}

async function ask(dispatcher: Agent, [method, path]: [string, string], authorization?: string) {
  const response = await undiciFetch(`${workspace.mutualTlsUrl}${path}`, {
    method,
    dispatcher,
    headers: { 'content-type': 'application/json', ...(authorization !== undefined && { authorization }) },
    ...(method !== 'GET' && { body: '{}' }),
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

async function refuses(route: [string, string], what: string, answer: Awaited<ReturnType<typeof ask>>, status = 401) {
  const name = `${route.join(' ')}: ${what}`;
  assert.equal(answer.status, status, `${name}: ${answer.text}`);
  assert.equal(answer.headers.get('content-type'), 'application/problem+json', name);
  assert.doesNotMatch(answer.text, /"decision"|body\.|request\.|shop|apr_x/, `${name}: nothing was looked at`);
}

before(async () => {
  workspace = await startWorkspace({ mutualTls: true, clock: { now: () => Date.now() + ahead } });
  elsewhere = await startWorkspace({ mutualTls: true });
  const platform = await createPlatform();
  const gateways = [
    ...platform.manifests({
      name: 'edge',
      environment: 'production',
      gateway: { servers: ['shop'], urls: ['http://edge.example'], mcp: { '/mcp': 'shop' } },
    }),
    ...platform.manifests({ name: 'plain', environment: 'production' }),
  ];
  for (const each of [workspace, elsewhere]) await each.apply([...manifests(), ...gateways]);
  edge = await openGateway(workspace, platform, 'edge');
  plain = await openGateway(workspace, platform, 'plain');
  stranger = await openGateway(elsewhere, platform, 'edge');
  task = await (await workspace.agent('agent-a')).startTask({ template: 'all', intent: 'test' });
});
after(async () => {
  await Promise.all([edge, plain, stranger].map((each) => each?.close()));
  await Promise.all(dispatchers.map((each) => each.destroy()));
  await workspace.close();
  await elsewhere.close();
});

/** @proves law-2.routes */
test('every route refuses whoever has not proven to be a gateway', async () => {
  const nobody = clientWith();
  const bearers: Record<string, string | undefined> = {
    nothing: undefined,
    garbage: 'Bearer x.y.z',
    'an agent’s token': `DPoP ${await task.token()}`,
    'an agent’s token as Bearer': `Bearer ${await task.token()}`,
    'a JWT-SVID for another audience': `Bearer ${await edge.jwtSvid(workspace.url)}`,
    'a JWT-SVID of another house': `Bearer ${await stranger.jwtSvid(`${workspace.url}/access`)}`,
    'a made-up operator token': `Operator ${'A'.repeat(43)}`,
  };
  for (const route of all)
    for (const [what, bearer] of Object.entries(bearers)) await refuses(route, what, await ask(nobody, route, bearer));

  const otherHouse = clientWith(stranger.files);
  const noGateway = clientWith(plain.files);
  const svidOfPlain = `Bearer ${await plain.jwtSvid()}`;
  for (const route of all) {
    await refuses(route, 'a certificate of another house', await ask(otherHouse, route));
    await refuses(route, 'a workload that is no gateway', await ask(noGateway, route), 403);
  }
  for (const route of authzen) await refuses(route, 'its JWT-SVID', await ask(nobody, route, svidOfPlain), 403);
});

test('at ext_authz Authorization is the agent’s: a gateway’s JWT-SVID there proves nothing', async () => {
  const nobody = clientWith();
  const svid = `Bearer ${await edge.jwtSvid()}`;
  for (const route of extAuthz) await refuses(route, 'a JWT-SVID', await ask(nobody, route, svid));
});

test('AuthZEN’s discovery alone answers everybody', async () => {
  assert.equal((await ask(clientWith(), ['GET', metadata])).status, 200);
});

test('a gateway gets to each route until its proof expires', async () => {
  const [gateway, nobody] = [clientWith(edge.files), clientWith()];
  const svid = `Bearer ${await edge.jwtSvid()}`;
  const isThrough = async (dispatcher: Agent, route: [string, string], bearer?: string) => {
    const { text } = await ask(dispatcher, route, bearer);
    return !/gateway\.no-proof|svid\.|trust\.|gateway\.not-one/.test(text);
  };
  for (const route of all) assert.ok(await isThrough(gateway, route), route.join(' '));
  for (const route of authzen) assert.ok(await isThrough(nobody, route, svid), route.join(' '));

  ahead = 2 * 86_400_000;
  await workspace.restart();
  const late = clientWith(edge.files);
  for (const route of all) await refuses(route, 'an expired certificate', await ask(late, route));
  for (const route of authzen) await refuses(route, 'an expired JWT-SVID', await ask(nobody, route, svid));
});
