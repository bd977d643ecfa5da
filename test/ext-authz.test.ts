import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { AgentTask } from '@gatehouse/sdk';
import { type Seen, startBehind, startEnvoy } from './support/envoy.ts';
import { type EnvoyClient, envoyConfig } from './support/envoy-config.ts';
import { manifests } from './support/fixtures.ts';
import { createPlatform, type GatewayClient, openGateway } from './support/gateway.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

/**
 * A real Envoy in front of an MCP server and of an HTTP API asks Gatehouse about each request, over gRPC and over HTTP: what gets through, what
 * does not, and what Gatehouse has on record of it.
 */
const EDGE = 'http://edge.example';
let workspace: Workspace;
let edge: GatewayClient;
let behind: Awaited<ReturnType<typeof startBehind>>;
let task: AgentTask;
let agent: Awaited<ReturnType<Workspace['agent']>>;
const envoys: Partial<Record<EnvoyClient, NonNullable<Awaited<ReturnType<typeof startEnvoy>>>>> = {};

const carelessEnvoys: typeof envoys = {};
/** Sends no bodies along. */
const blindEnvoys: typeof envoys = {};

/** By which some servers take another method or path than the request line's. */
const overriding = {
  'x-original-method': 'DELETE',
  'x-forwarded-method': 'DELETE',
  'x-original-url': '/admin',
  'x-forwarded-uri': '/admin',
  'x-forwarded-prefix': '/admin',
};

before(async () => {
  workspace = await startWorkspace({ mutualTls: true, extAuthz: true });
  const platform = await createPlatform();
  await workspace.apply([
    ...manifests(),
    ...platform.manifests({
      name: 'edge',
      environment: 'production',
      gateway: {
        servers: ['shop'],
        urls: [EDGE],
        mcp: { '/mcp': 'shop' },
        headers: ['x-shop-locale'],
        routes: [
          {
            method: 'POST',
            path: '/orders/{order}/archive',
            tool: 'shop/get_order',
            arguments: { order: '$path.order' },
          },
          { method: 'GET', path: '/orders/{order}', tool: 'shop/get_order', arguments: { order: '$path.order' } },
          { method: 'GET', path: '/orders', tool: 'shop/list_orders', arguments: { customer: '$query.customer' } },
          {
            method: 'POST',
            path: '/orders/{order}/refunds',
            tool: 'shop/refund_order',
            arguments: {
              order: '$path.order',
              amount_cents: '$body.amount_cents',
              currency: '$body.currency',
              reason: '$body.reason',
            },
          },
          { method: 'DELETE', path: '/tables/{table}', tool: 'shop/drop_table', arguments: { table: '$path.table' } },
        ],
      },
    }),
  ]);
  edge = await openGateway(workspace, platform, 'edge');
  behind = await startBehind();
  agent = await workspace.agent('agent-a');
  task = await agent.startTask({ template: 'all', intent: 'behind Envoy' });
  for (const client of ['grpc', 'http'] as const) {
    const start = (bodies: 'whole' | 'begun' | 'none') =>
      startEnvoy(({ listen }) =>
        envoyConfig({
          client,
          bodies,
          listen,
          behind: behind.port,
          gatehouse:
            client === 'grpc'
              ? Number(workspace.server.extAuthzAddress?.port)
              : Number(new URL(String(workspace.mutualTlsUrl)).port),
          files: edge.files,
          trustDomain: 'example.test',
        }),
      );
    const [envoy, careless, blind] = [await start('whole'), await start('begun'), await start('none')];
    if (!envoy || !careless || !blind) continue;
    envoys[client] = envoy;
    carelessEnvoys[client] = careless;
    blindEnvoys[client] = blind;
  }
});
after(async () => {
  await Promise.all(
    [...Object.values(envoys), ...Object.values(carelessEnvoys), ...Object.values(blindEnvoys)].map((envoy) =>
      envoy?.stop(),
    ),
  );
  edge?.close();
  await behind?.close();
  await workspace.close();
});

interface Answer {
  status: number;
  text: string;
  headers: Headers;
  passed: Seen | undefined;
}

/** As the agent sends it: to the gateway's name, with its token and a new proof. */
async function send(
  client: EnvoyClient,
  path: string,
  init: {
    method?: string;
    headers?: Record<string, string>;
    body?: string;
    of?: AgentTask;
    host?: string;
    proof?: Record<string, string>;
    /** Another Envoy than the usual one. */
    at?: string | undefined;
  } = {},
): Promise<Answer> {
  const { method = 'GET', body, of = task, host = 'edge.example' } = init;
  const proof = init.proof ?? ((await of.headersFor(`${EDGE}${path.split('?')[0]}`, method)) as Record<string, string>);
  const before = behind.seen.length;
  const { request } = await import('undici');
  const response = await request(`${init.at ?? envoys[client]?.url}${path}`, {
    method: method as 'GET',
    headers: { host, ...proof, ...(body !== undefined && { 'content-type': 'application/json' }), ...init.headers },
    ...(body !== undefined && { body }),
  });
  const text = await response.body.text();
  return {
    status: response.statusCode,
    text,
    headers: new Headers(Object.entries(response.headers).map(([k, v]): [string, string] => [k, String(v)])),
    passed: behind.seen[before],
  };
}

const rpc = (method: string, params: object, id = 7) => JSON.stringify({ jsonrpc: '2.0', id, method, params });
const getOrder = (order: unknown = 1042) => rpc('tools/call', { name: 'get_order', arguments: { order } });

for (const client of ['grpc', 'http'] as const)
  describe(`Envoy asks over ${client}`, () => {
    /** @proves ext-authz.mcp, ext-authz.dispatch-first, ext-authz.token-stays */
    test('a permitted MCP call reaches the server without the agent’s token, and is on record before', async (t) => {
      if (!envoys[client]) return t.skip('no Envoy here');
      const { status, passed } = await send(client, '/mcp', {
        method: 'POST',
        body: getOrder(),
        headers: { 'x-gatehouse-action': 'act_forged' },
      });
      assert.equal(status, 200, envoys[client]?.said());
      assert.deepEqual([passed?.headers.authorization, passed?.headers.dpop], [undefined, undefined]);
      const id = String(passed?.headers['x-gatehouse-action']);
      const { records } = await workspace.operator('GET /actions/:id', { params: { id } });
      const dispatch = records[0]?.record;
      assert.deepEqual([dispatch?.kind, dispatch?.tool, dispatch?.agent], ['dispatch', 'shop/get_order', 'agent-a']);
      assert.equal(dispatch?.gateway, 'spiffe://example.test/env/production/workload/edge');
    });

    /** @proves ext-authz.refused */
    test('what is not permitted, not understood, or not from who it says never reaches it', async (t) => {
      if (!envoys[client]) return t.skip('no Envoy here');
      const before = behind.seen.length;
      const post = (body: string, more: object = {}) => send(client, '/mcp', { method: 'POST', body, ...more });
      const refused = async (answer: Promise<Answer>, status: number, code: RegExp) => {
        const { status: got, text, passed } = await answer;
        assert.equal(got, status, text);
        assert.match(text, code);
        assert.equal(passed, undefined);
      };
      await refused(
        post(rpc('tools/call', { name: 'drop_table', arguments: { table: 'x' } })),
        403,
        /tier\.prohibited/,
      );
      await refused(
        post(rpc('tools/call', { name: 'get_order', arguments: { order: 'x' } })),
        403,
        /arguments\.invalid/,
      );
      await refused(post(rpc('subscriptions/listen', {})), 403, /operation\.unknown/);
      await refused(post(rpc('tasks/get', { taskId: 'x' })), 403, /operation\.unknown/);
      await refused(post(`[${getOrder()}]`), 400, /batch/);
      await refused(post(getOrder().replace('"name"', '"name":"list_orders","name"')), 400, /duplicate-key|twice/);
      await refused(post('{"jsonrpc":"2.0","id":1,"result":{}}'), 403, /mcp\.response/);
      await refused(post(getOrder(), { headers: { 'mcp-method': 'tools/list' } }), 400, /Mcp-Method/);
      await refused(post(getOrder(), { headers: { 'content-encoding': 'gzip' } }), 400, /encoded/);
      // Over HTTP those that Envoy does not send along are taken out instead.
      const seen = client === 'grpc' ? Object.keys(overriding) : [];
      for (const name of ['x-http-method-override', ...seen])
        await refused(post(getOrder(), { headers: { [name]: 'DELETE' } }), 400, /another method/);
      await refused(
        post(getOrder(), { headers: { 'content-type': 'application/json; charset=utf-7' } }),
        400,
        /charset/,
      );
      await refused(post(getOrder(), { host: 'evil.example' }), 403, /host\.unknown/);
      await refused(send(client, '/mcp', { headers: { accept: 'text/event-stream' } }), 403, /mcp\.stream/);
      const proof = (await task.headersFor(`${EDGE}/mcp`, 'POST')) as Record<string, string>;
      assert.equal((await post(getOrder(), { proof })).status, 200);
      await refused(post(getOrder(), { proof }), 401, /proof\.replayed/);
      await refused(post(getOrder(), { proof: {} }), 401, /token\.missing/);
      await refused(
        post(getOrder(), { proof: { authorization: `Bearer ${await task.token()}` } }),
        401,
        /token\.scheme/,
      );
      const forged = (await task.headersFor(`${workspace.url}/mcp`, 'POST')) as Record<string, string>;
      const forwarded = { 'x-forwarded-host': new URL(workspace.url).host, 'x-forwarded-proto': 'http' };
      await refused(post(getOrder(), { proof: forged, headers: forwarded }), 401, /proof\.invalid/);
      assert.equal(behind.seen.length, before + 1);
    });

    /** @proves ext-authz.body */
    test('a body that Envoy does not send whole is decided on by nobody', async (t) => {
      if (!envoys[client]) return t.skip('no Envoy here');
      const long = rpc('tools/call', {
        name: 'get_order',
        arguments: { order: 1042 },
        _meta: { padding: 'x'.repeat(70_000) },
      });
      for (const at of [envoys[client], carelessEnvoys[client]]) {
        const { status, passed } = await send(client, '/mcp', { method: 'POST', body: long, at: at?.url });
        assert.equal(status, 413);
        assert.equal(passed, undefined);
      }
    });

    test('a body that Envoy does not send at all is decided on by nobody', async (t) => {
      if (!envoys[client]) return t.skip('no Envoy here');
      const at = blindEnvoys[client]?.url;
      const tries: [string, object][] = [
        ['/mcp', { method: 'POST', body: getOrder(), at }],
        ['/orders/1042/archive', { method: 'POST', body: '{"to":"https://evil.example"}', at }],
        ['/orders/1042/archive', { method: 'POST', body: 'to=evil', headers: { 'content-type': 'text/plain' }, at }],
      ];
      for (const [path, init] of tries) {
        const { status, passed, text } = await send(client, path, init);
        assert.equal(status, 400, `${path}: ${text}`);
        assert.equal(passed, undefined, path);
      }
      const read = await send(client, '/orders/1042', { headers: { 'content-type': 'application/json' }, at });
      assert.equal(read.status, 200);
      if (client === 'http') assert.equal(read.passed?.headers['content-type'], undefined);
    });

    /** @proves ext-authz.headers */
    test('headers that nobody decided on stay behind: an identity of the agent’s choice, cookies, orders to Envoy itself', async (t) => {
      if (!envoys[client]) return t.skip('no Envoy here');
      const forged = {
        'x-forwarded-user': 'admin',
        'x-forwarded-client-cert': 'By=spiffe://example.test/admin',
        'x-remote-user': 'admin',
        'x-auth-request-email': 'admin@example.test',
        'x-forwarded-for': '10.0.0.1',
        'true-client-ip': '10.0.0.1',
        'x-client-ip': '10.0.0.1',
        'cf-connecting-ip': '10.0.0.1',
        'x-envoy-external-address': '10.0.0.1',
        cookie: 'session=stolen',
        'x-envoy-retry-on': '5xx',
        'x-envoy-max-retries': '9',
        'x-rewrite-url-of-ours': 'kept by nobody',
        ...(client === 'http' && overriding),
      };
      const undecided = Object.keys(forged).filter((name) => client === 'grpc' || name !== 'x-rewrite-url-of-ours');
      const wanted = { 'x-shop-locale': 'de', 'mcp-protocol-version': '2025-11-25', 'accept-language': 'de' };
      for (const [path, init] of [
        ['/orders/1042', {}],
        ['/mcp', { method: 'POST', body: getOrder() }],
        ['/mcp', { method: 'POST', body: rpc('initialize', {}) }],
      ] as const) {
        const { status, passed, text } = await send(client, path, { ...init, headers: { ...forged, ...wanted } });
        assert.equal(status, 200, text);
        for (const name of undecided) assert.notEqual(passed?.headers[name], forged[name as keyof typeof forged], name);
        for (const [name, value] of Object.entries(wanted)) assert.equal(passed?.headers[name], value, name);
      }
    });

    /** @proves ext-authz.routes */
    test('an HTTP request passes where the manifest makes it a call, and only as exactly that call', async (t) => {
      if (!envoys[client]) return t.skip('no Envoy here');
      const passed = await send(client, '/orders/1042');
      assert.equal(passed.status, 200, passed.text);
      assert.equal(passed.passed?.path, '/orders/1042');
      const refusals: [string, object, RegExp][] = [
        ['/orders/1042?expand=customer', {}, /no argument takes/],
        ['/orders/1042/', {}, /plain segments/],
        ['/orders/%31042', {}, /plain segments/],
        ['/orders/1042%2f..%2fadmin', {}, /plain segments/],
        ['/orders//1042', {}, /plain segments/],
        ['/orders/1042;v=2', {}, /plain segments/],
        ['/orders?customer=a&customer=b', {}, /twice/],
        ['/orders?customer=a+b', {}, /two ways/],
        ['/orders/abc', {}, /arguments\.invalid/],
        ['/admin', {}, /gateway\.unmapped/],
        ['/tables/orders', { method: 'DELETE' }, /tier\.prohibited/],
        [
          '/orders/1042/refunds',
          { method: 'POST', body: '{"amount_cents":1,"currency":"EUR","reason":"r","to":"me"}' },
          /no argument takes/,
        ],
      ];
      for (const [path, init, why] of refusals) {
        const { status, text, passed: reached } = await send(client, path, init);
        assert.ok(status === 400 || status === 403, `${path}: ${status} ${text}`);
        assert.match(text, why, path);
        assert.equal(reached, undefined, path);
      }
    });

    /** @proves ext-authz.approval */
    test('a call that needs a person waits for one, and then passes once', async (t) => {
      if (!envoys[client]) return t.skip('no Envoy here');
      const body = JSON.stringify({ amount_cents: client === 'grpc' ? 100 : 200, currency: 'EUR', reason: 'broken' });
      const refund = () => send(client, '/orders/1042/refunds', { method: 'POST', body });
      const first = await refund();
      assert.equal(first.status, 403, first.text);
      const { approval } = JSON.parse(first.text) as { approval: string };
      const approver = await workspace.person('approver@example.test', { recovery: client === 'http' });
      await approver.approve(approval.split('/').at(-1) as string);
      assert.equal((await refund()).status, 200);
      assert.equal((await refund()).status, 403);
    });
  });

/** @proves ext-authz.kill */
test('while many calls pass an agent is killed: from then on none does', async (t) => {
  if (!envoys.grpc) return t.skip('no Envoy here');
  const victim = await workspace.agent('agent-b');
  const its = await victim.startTask({ template: 'all', intent: 'to be killed' });
  const one = () => send('grpc', '/mcp', { method: 'POST', body: getOrder(), of: its });
  assert.equal((await one()).status, 200);
  const flood = Promise.all(Array.from({ length: 40 }, one));
  await workspace.operator('POST /agents/:name/kill', { params: { name: 'agent-b' } });
  assert.equal((await one()).status, 401);
  await flood;
});

/** @proves ext-authz.unavailable */
test('when Gatehouse is gone nothing passes', async (t) => {
  if (!envoys.grpc || !envoys.http) return t.skip('no Envoy here');
  const proofs = await Promise.all([0, 1].map(() => task.headersFor(`${EDGE}/mcp`, 'POST')));
  await workspace.server.close();
  for (const [at, client] of (['grpc', 'http'] as const).entries()) {
    const { status, passed } = await send(client, '/mcp', {
      method: 'POST',
      body: getOrder(),
      proof: proofs[at] as Record<string, string>,
    });
    assert.equal(status, 403);
    assert.equal(passed, undefined);
  }
  await workspace.restart().catch(() => undefined);
});
