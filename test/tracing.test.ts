import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { postModern } from '../packages/server/src/gate/mcp/testing/gate.ts';
import { type RawServer, startRawServer } from '../packages/server/src/gate/mcp/testing/raw-server.ts';
import { isJsonObject } from '../packages/server/src/platform/index.ts';
import { manifests } from './support/fixtures.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const OTHER_TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const CALLER_SPAN = 'b7ad6b7169203331';
const traceparent = (trace: string) => `00-${trace}-${CALLER_SPAN}-01`;

interface OtlpSpan {
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  name: string;
  kind: number;
  attributes: { key: string; value: { stringValue?: string } }[];
  status: { code?: number };
}

/** What an OpenTelemetry collector takes: OTLP over HTTP in JSON. */
async function startCollector() {
  const spans: OtlpSpan[] = [];
  const headers: Record<string, unknown>[] = [];
  const http = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    if (request.url !== '/v1/traces') return response.writeHead(404).end();
    headers.push(request.headers);
    const { resourceSpans } = JSON.parse(Buffer.concat(chunks).toString()) as {
      resourceSpans: { scopeSpans: { spans: OtlpSpan[] }[] }[];
    };
    spans.push(...resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans)));
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    spans,
    headers,
    close: () => http.close(),
  };
}

const attributesOf = ({ attributes }: OtlpSpan) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue]));

/** A server whose one agent sends plain requests, so that a test says every header itself. */
async function startScene(openTelemetry?: Record<string, string>) {
  const server = await startRawServer({
    era: '2026-07-28',
    tools: ['look', 'pay'].map((name) => ({ name, inputSchema: { type: 'object' } })),
    answer: () => ({ result: { content: [{ type: 'text', text: 'done' }], resultType: 'complete' } }),
  });
  const workspace = await startWorkspace(openTelemetry && { openTelemetry });
  await workspace.apply([
    ...manifests().map((each) =>
      each.kind === 'Template' && each.name === 'all' ? { ...each, allow: [{ tools: ['raw/*'] }] } : each,
    ),
    {
      kind: 'ToolServer',
      name: 'raw',
      environments: ['production'],
      transport: { type: 'http', url: server.url, allowPrivateAddress: true },
      tools: { look: { tier: 1, effects: ['read'] }, pay: { tier: 3, effects: ['pay'] } },
    },
  ]);
  const agent = await workspace.agent('agent-bearer', { bearerOnly: true });
  const task = await agent.startTask({ template: 'all', intent: 'look' });
  const call = async (name: string, how: { headers?: Record<string, string>; meta?: Record<string, string> } = {}) =>
    postModern(
      `${workspace.url}/mcp/raw`,
      'tools/call',
      { name, arguments: {} },
      {
        headers: { authorization: `Bearer ${await task.token()}`, ...how.headers },
        meta: how.meta ?? {},
      },
    );
  /** Of the last call: in the header, and in the message. */
  const sent = () => {
    const params = server.requests.at(-1)?.params;
    const meta = isJsonObject(params) && isJsonObject(params._meta) ? params._meta : {};
    return { header: server.headers.at(-1)?.traceparent, meta: meta.traceparent, others: Object.keys(meta) };
  };
  const lastRecord = async () => (await workspace.operator('GET /records', { query: { limit: '1' } })).items[0]?.record;
  return { server, workspace, call, sent, lastRecord };
}

async function closeScene({ server, workspace }: { server: RawServer; workspace: Workspace }) {
  await workspace.close();
  await server.close();
}

/** @proves trace.passed-on */
describe('without a collector', () => {
  let scene: Awaited<ReturnType<typeof startScene>>;
  before(async () => {
    scene = await startScene();
  });
  after(() => closeScene(scene));

  test('the trace of the message goes on, before that of its transport, and stands in the record', async () => {
    await scene.call('look', {
      headers: { traceparent: traceparent(OTHER_TRACE) },
      meta: { traceparent: traceparent(TRACE) },
    });
    assert.deepEqual(
      { ...scene.sent(), others: undefined },
      { header: traceparent(TRACE), meta: traceparent(TRACE), others: undefined },
    );
    assert.equal((await scene.lastRecord())?.trace_id, TRACE);
    await scene.call('look', { headers: { traceparent: traceparent(OTHER_TRACE) } });
    assert.equal(scene.sent().header, traceparent(OTHER_TRACE));
  });

  test('what is no trace is none, and stops nothing; what could carry a text stays here', async () => {
    const odd = [`00-${TRACE}-${CALLER_SPAN}-01-${'x'.repeat(40)}`, `00-${'0'.repeat(32)}-${CALLER_SPAN}-01`, 'x'];
    for (const each of odd) {
      const { status } = await scene.call('look', {
        meta: { traceparent: each, tracestate: 'a=card', baggage: 'b=card' },
      });
      assert.equal(status, 200);
      const { header, meta, others } = scene.sent();
      assert.deepEqual([header, meta], [undefined, undefined], each);
      assert.ok(!others.includes('tracestate') && !others.includes('baggage'));
    }
    assert.equal((await scene.lastRecord())?.trace_id, undefined);
  });
});

/** @proves trace.spans */
test('a collector gets a span of the action, within the caller’s, and one of the tool’s call within that', async () => {
  const collector = await startCollector();
  let passedOn: unknown;
  let recorded: string | undefined;
  const scene = await startScene({
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_HEADERS: 'x-key=1',
  });
  try {
    await scene.call('look', { meta: { traceparent: traceparent(TRACE) } });
    passedOn = scene.sent().header;
    recorded = (await scene.lastRecord())?.span_id;
    await scene.call('pay');
    await scene.call('nothing');
  } finally {
    // Sends what waits.
    await closeScene(scene);
    collector.close();
  }
  const of = (tool: string) =>
    collector.spans.filter(({ name }) => name === `tools/call ${tool}`).sort((a, b) => a.kind - b.kind);
  const [action, call] = of('look');
  assert.ok(action && call);
  assert.equal(collector.headers[0]?.['x-key'], '1');
  assert.deepEqual([action.kind, action.traceId, action.parentSpanId], [2, TRACE, CALLER_SPAN]);
  assert.deepEqual([call.kind, call.traceId, call.parentSpanId], [3, TRACE, action.spanId]);
  assert.deepEqual([recorded, passedOn], [action.spanId, `00-${TRACE}-${call.spanId}-01`]);
  const about = attributesOf(action);
  assert.equal(about['mcp.method.name'], 'tools/call');
  assert.equal(about['gen_ai.tool.name'], 'look');
  assert.equal(about['gen_ai.operation.name'], 'execute_tool');
  assert.equal(about['gen_ai.agent.name'], 'agent-bearer');
  assert.match(about['gatehouse.action.id'] ?? '', /^act_/);
  assert.equal(attributesOf(call)['server.address'], '127.0.0.1');

  const [waiting, ...none] = of('pay');
  assert.ok(waiting);
  assert.deepEqual(none, [], 'what waits calls nobody');
  assert.match(attributesOf(waiting)['gatehouse.approval.id'] ?? '', /^apr_/);
  const [refused] = of('nothing');
  assert.ok(refused);
  assert.deepEqual([refused.status.code, attributesOf(refused)['error.type']], [2, 'tool.unknown']);
});
