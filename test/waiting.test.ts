import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { after, before, test } from 'node:test';
import { type AgentTask, ApprovalPending, createMcpTransport, unlessStopped, waitForApproval } from '@gatehouse/sdk';
import { credentials, loadPackageDefinition, type ServiceClientConstructor } from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';
import { Client } from '@modelcontextprotocol/client';
import { authorizationProto, authorizationService } from '../packages/server/src/gate/ext-authz/proto.ts';
import { manifests } from './support/fixtures.ts';
import { createPlatform, type GatewayClient, openGateway } from './support/gateway.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

/**
 * Every surface on which an agent, or another gateway, can meet a call that waits for a person says three things in its own form: the id, the
 * address to look at, and when to come back. docs/explanation/approvals.md has the table.
 */
const EDGE = 'http://edge.example';
const RETRY_SECONDS = 10;
let workspace: Workspace;
let edge: GatewayClient;
let task: AgentTask;
let amount = 0;

type Json = Record<string, unknown>;
interface Said {
  id: unknown;
  url: unknown;
  retry: unknown;
}

/** A refund that nobody has asked about. */
const refund = () => ({ order: 1042, amount_cents: ++amount, currency: 'EUR', reason: 'broken' });

before(async () => {
  workspace = await startWorkspace({ mutualTls: true, extAuthz: true });
  const platform = await createPlatform();
  const { order: _, ...body } = refund();
  await workspace.apply([
    ...manifests(),
    ...platform.manifests({
      name: 'edge',
      environment: 'production',
      gateway: {
        servers: ['shop'],
        urls: [EDGE],
        mcp: { '/mcp': 'shop' },
        routes: [
          {
            method: 'POST',
            path: '/orders/{order}/refunds',
            tool: 'shop/refund_order',
            arguments: {
              order: '$path.order',
              ...Object.fromEntries(Object.keys(body).map((key) => [key, `$body.${key}`])),
            },
          },
        ],
      },
    }),
  ]);
  edge = await openGateway(workspace, platform, 'edge');
  task = await (await workspace.agent('agent-a')).startTask({ template: 'all', intent: 'wait' });
});
after(async () => {
  await edge?.close();
  await workspace.close();
});

async function assertSaid(surface: string, { id, url, retry }: Said): Promise<void> {
  const approval = await workspace.operator('GET /approvals/:id', { params: { id: String(id) } });
  assert.equal(approval.state, 'pending', surface);
  assert.equal(url, `${workspace.url}/approvals/${id}`, surface);
  assert.equal(Number(retry), RETRY_SECONDS, surface);
  // An agent may have so many that wait, and there are as many surfaces.
  await workspace.operator('POST /approvals/:id/deny', { params: { id: String(id) }, body: { reason: 'next' } });
}

const ofMeta = (holder: Json | undefined): Said => {
  const said = ((holder?._meta ?? {}) as Json)['gatehouse/approval'] as Json | undefined;
  return { id: said?.id, url: said?.url, retry: said?.retryAfterSeconds };
};
const ofData = ({ id, url, retryAfterSeconds }: Json): Said => ({ id, url, retry: retryAfterSeconds });

/** One request over MCP, as it is on the wire; gives each message that comes until `until` says that it is enough. */
async function mcp(message: Json, headers: Record<string, string>, until = (_: Json) => false): Promise<Json[]> {
  const abort = new AbortController();
  const response = await fetch(`${workspace.url}/mcp`, {
    method: 'POST',
    signal: abort.signal,
    headers: {
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
      ...headers,
      ...(await task.headersFor(`${workspace.url}/mcp`, 'POST')),
    },
    body: JSON.stringify(message),
  });
  const found: Json[] = [];
  let text = '';
  for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += chunk;
    const lines = text.split('\n');
    text = lines.pop() ?? '';
    for (const line of lines)
      if (/^data: ?\{/.test(line)) found.push(JSON.parse(line.slice(line.indexOf('{'))) as Json);
    if (found.some(until)) break;
  }
  if (text.startsWith('{')) found.push(JSON.parse(text) as Json);
  abort.abort();
  return found;
}

async function session(capabilities: Json): Promise<Record<string, string>> {
  const response = await fetch(`${workspace.url}/mcp`, {
    method: 'POST',
    headers: {
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
      ...(await task.headersFor(`${workspace.url}/mcp`, 'POST')),
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 0,
      method: 'initialize',
      params: { protocolVersion: '2025-11-25', capabilities, clientInfo: { name: 't', version: '1' } },
    }),
  });
  await response.text();
  return { 'mcp-session-id': response.headers.get('mcp-session-id') ?? '', 'mcp-protocol-version': '2025-11-25' };
}

const call = (more: Json = {}): Json => ({
  jsonrpc: '2.0',
  id: 1,
  method: 'tools/call',
  params: { name: 'shop__refund_order', arguments: refund(), ...more },
});

function modern(capabilities: Json, more: Json = {}): [Json, Record<string, string>] {
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': capabilities,
    'io.modelcontextprotocol/clientInfo': { name: 't', version: '1' },
    ...more,
  };
  const headers = {
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': 'tools/call',
    'mcp-name': 'shop__refund_order',
  };
  return [call({ _meta }), headers];
}

const canOpen = { elicitation: { url: {} } };
const isProgress = ({ method }: Json) => method === 'notifications/progress';
const paramsOf = (message: Json | undefined) => message?.params as Json | undefined;
const resultOf = (messages: Json[]) => messages.find(({ result }) => result)?.result as Json | undefined;

/** @proves waiting.every-surface */
test('MCP 2025-11-25 says it with the result, with progress, in the elicitation, and with the task where one was wanted', async () => {
  const plain = await session({});
  await assertSaid('plain', ofMeta(resultOf(await mcp(call(), plain))));
  const held = await mcp(call({ _meta: { progressToken: 'p' } }), plain, isProgress);
  await assertSaid('progress', ofMeta(paramsOf(held.find(isProgress))));
  assert.match(String(paramsOf(held.find(isProgress))?.message), /It waits at http:.*\/approvals\/apr_/);
  const made = resultOf(await mcp(call({ task: { ttl: 60_000 } }), plain));
  const { taskId, statusMessage } = (made as Json).task as Json;
  await assertSaid('task', ofMeta(made));
  assert.match(String(statusMessage), /It waits at http:.*\/approvals\/apr_/);
  const ended = resultOf(await mcp({ jsonrpc: '2.0', id: 2, method: 'tasks/get', params: { taskId } }, plain));
  assert.equal(ended?.status, 'failed');
  assert.match(String(ended?.statusMessage), /said no: next/);
  const isAsked = ({ method }: Json) => method === 'elicitation/create';
  const asked = paramsOf((await mcp(call(), await session(canOpen), isAsked)).find(isAsked));
  const said = ofMeta(asked);
  assert.deepEqual([asked?.elicitationId, asked?.url], [said.id, said.url]);
  await assertSaid('elicitation', said);
});

/** @proves waiting.every-surface */
test('MCP 2026-07-28 says it with the result, with progress, and beside what it asks the user to open', async () => {
  await assertSaid('plain', ofMeta(resultOf(await mcp(...modern({})))));
  const held = await mcp(...modern({}, { progressToken: 'p' }), isProgress);
  await assertSaid('progress', ofMeta(paramsOf(held.find(isProgress))));
  const made = resultOf(await mcp(...modern({ extensions: { 'io.modelcontextprotocol/tasks': {} } })));
  assert.deepEqual([made?.resultType, made?.status], ['task', 'working']);
  await assertSaid('task', ofMeta(made));
  const wanted = resultOf(await mcp(...modern(canOpen)));
  assert.equal(wanted?.resultType, 'input_required');
  const said = ofMeta(wanted);
  assert.ok(JSON.stringify(wanted?.inputRequests).includes(String(said.url)));
  await assertSaid('input_required', said);
});

/** @proves waiting.every-surface */
test('the SDK throws it as an error of its own', async () => {
  const client = new Client({ name: 't', version: '1' }, { versionNegotiation: { mode: 'legacy' } });
  await client.connect(createMcpTransport(task));
  const error = await unlessStopped(client.callTool({ name: 'shop__refund_order', arguments: refund() })).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof ApprovalPending);
  await assertSaid('SDK', { id: error.approval, url: error.url, retry: error.retryAfterSeconds });
  const args = refund();
  const enough = new AbortController();
  let shown: Said | undefined;
  const waiting = waitForApproval(() => client.callTool({ name: 'shop__refund_order', arguments: args }), {
    signal: enough.signal,
    onWaiting({ approval: id, url, retryAfterSeconds: retry }) {
      shown = { id, url, retry };
      enough.abort(new Error('enough'));
    },
  });
  await assert.rejects(waiting, /enough/);
  await assertSaid('SDK, waiting', shown as Said);
  await client.close();
});

/** @proves waiting.every-surface */
test('AuthZEN says it with the denial, in each of several, and with the access request, for which HTTP has a header', async () => {
  const { authorization = '', dpop } = await task.headersFor(`${EDGE}/mcp`, 'POST');
  const properties = { token: authorization.replace(/^DPoP /, ''), dpop, method: 'POST', url: `${EDGE}/mcp` };
  const about = (args: Json) => ({
    action: { name: 'tools/call' },
    resource: { type: 'tool', id: 'refund_order' },
    context: { agent: 'agent-a', arguments: args },
  });
  const subject = { type: 'agent', id: 'agent-a', properties };
  const ofContext = (context: Json): Said => {
    const { approval, access_request: request } = context as Record<'approval' | 'access_request', Json>;
    return { id: approval.id, url: request.form_url, retry: approval.retry_after_seconds };
  };
  const [first] = (
    (await edge.post('/access/v1/evaluations', { subject, evaluations: [about(refund())] })).body.evaluations as Json[]
  ).map(({ context }) => context as Json);
  await assertSaid('evaluations', ofContext(first as Json));

  const proof = await task.headersFor(`${EDGE}/mcp`, 'POST');
  const args = refund();
  const again = { ...subject, properties: { ...properties, dpop: proof.dpop } };
  const { context } = (await edge.post('/access/v1/evaluation', { subject: again, ...about(args) })).body as {
    context: Json;
  };
  const taken = await edge.post('/access/v1/requests', {
    subject: { type: 'agent', id: 'agent-a' },
    ...about(args),
    denial: { evaluation_id: context.evaluation_id },
  });
  const { id, links } = taken.body.task as { id: string; links: { review: string } };
  assert.deepEqual([id, links.review], [ofContext(context).id, ofContext(context).url]);
  const status = await edge.send(`/access/v1/requests/${id}`);
  for (const { headers } of [taken, status]) assert.equal(headers.get('retry-after'), String(RETRY_SECONDS));
  await assertSaid('access request', ofContext(context));
});

/** @proves waiting.every-surface */
test('Envoy is told it over HTTP and over gRPC, for an API and for MCP, with Retry-After', async () => {
  const target = `${EDGE}/orders/1042/refunds`;
  const { order: _, ...body } = refund();
  const api = async () => ({
    ...(await task.headersFor(target, 'POST')),
    host: 'edge.example',
    'content-type': 'application/json',
  });
  const over = await asEnvoy('/ext-authz/orders/1042/refunds', await api(), JSON.stringify(body));
  assert.equal(over.status, 403, JSON.stringify(over.body));
  const { approval_id: id, approval: url } = over.body;
  await assertSaid('HTTP', { id, url, retry: over.headers['retry-after'] });
  assert.equal(over.body.retry_after_seconds, RETRY_SECONDS);

  const message = JSON.stringify({ ...call(), params: { name: 'refund_order', arguments: refund() } });
  const headers = {
    ...(await task.headersFor(`${EDGE}/mcp`, 'POST')),
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'mcp-protocol-version': '2025-11-25',
  };
  const denied = await check({
    method: 'POST',
    path: '/mcp',
    host: 'edge.example',
    headers,
    raw_body: Buffer.from(message),
    size: String(message.length),
  });
  const given = new Map(denied.headers.map(({ header }) => [header.key, header.value]));
  const { error } = JSON.parse(denied.body) as { error: { code: number; data: Json } };
  assert.equal(error.code, 1002);
  assert.equal(given.get('retry-after'), String(RETRY_SECONDS));
  await assertSaid('gRPC', ofData(error.data));
});

/** By the name of the host that the agent has called, which `fetch` does not let through. */
async function asEnvoy(path: string, headers: Record<string, string>, body: string) {
  const sent = request(`${workspace.mutualTlsUrl}${path}`, {
    method: 'POST',
    headers,
    servername: 'localhost',
    ...edge.files,
  });
  sent.end(body);
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  const text = Buffer.concat(await answer.toArray()).toString();
  return { status: answer.statusCode, headers: answer.headers, body: JSON.parse(text) as Json };
}

interface Denied {
  body: string;
  headers: { header: { key: string; value: string } }[];
}

/** What Envoy sends, and the part of the answer that it gives its client. */
async function check(http: Json): Promise<Denied> {
  const definition = fromJSON(authorizationProto as Parameters<typeof fromJSON>[0], { keepCase: true, defaults: true });
  const Service = authorizationService
    .split('.')
    .reduce<unknown>((at, name) => (at as Json)[name], loadPackageDefinition(definition)) as ServiceClientConstructor;
  const { ca, key, cert } = edge.files;
  const secure = credentials.createSsl(Buffer.from(ca), Buffer.from(key), Buffer.from(cert), {
    checkServerIdentity: () => undefined,
  });
  const client = new Service(`127.0.0.1:${workspace.server.extAuthzAddress?.port}`, secure);
  try {
    return await new Promise<Denied>((resolve, reject) =>
      (client.Check as CallableFunction)(
        { attributes: { request: { http } } },
        (error: Error | null, answer: { denied_response: Denied }) =>
          error ? reject(error) : resolve(answer.denied_response),
      ),
    );
  } finally {
    client.close();
  }
}
