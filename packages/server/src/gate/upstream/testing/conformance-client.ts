/**
 * node testing/conformance-client.ts URL
 *
 * What the official suite starts as "the client": our outbound side, driven as the suite's scenario wants. It lists what the server
 * serves, calls every tool, reads and gets everything else.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLog, isJsonObject, type Json, type JsonObject, systemClock } from '../../../platform/index.ts';
import { parameterHeaders } from '../parameter-headers.ts';
import type { ServerMessage, UpstreamAnswer } from '../types.ts';
import { createUpstreams } from '../upstreams.ts';
import { httpServer, scope } from './kit.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-conformance-'));
const upstreams = createUpstreams({ dataDir, log: createLog('warn'), clock: systemClock, isProduction: () => false });
const server = httpServer(process.argv[2] as string, {
  clientRequests: { sampling: false, elicitation: true, urlElicitation: false, roots: false },
});
const { toolCalls } = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}') as {
  toolCalls?: { name: string; arguments: JsonObject }[];
};

const connection = await upstreams.connect(server, scope, {
  capabilities: { elicitation: { form: { applyDefaults: true } } },
});
const hooks = {
  signal: new AbortController().signal,
  onServerRequest: async ({ params }: ServerMessage) => accept(params),
};
const served = await upstreams.describe(server);
const schemas = new Map(
  served
    .filter(({ kind }) => kind === 'tool')
    .map(({ name, body }) => [name, (body as JsonObject).inputSchema as JsonObject]),
);
const calls =
  toolCalls ??
  [...schemas].map(([name, schema]) => ({
    name,
    // The suite compares a schema with what arrived of it.
    arguments: name === 'json_schema_echo' ? echoed() : sampleArguments(schema),
  }));
for (const { name, arguments: args } of calls) await callTool(name, args);
for (const { kind, name } of served) {
  if (kind === 'prompt') await connection.request({ method: 'prompts/get', params: { name } }, hooks);
  if (kind === 'resource') await connection.request({ method: 'resources/read', params: { uri: name } }, hooks);
}
await upstreams.close();
rmSync(dataDir, { recursive: true });

/** Goes on as long as the server asks for input (2026-07-28). */
async function callTool(name: string, args: JsonObject): Promise<void> {
  const headers = parameterHeaders(schemas.get(name), args);
  let more: JsonObject = {};
  for (let round = 0; round < 5; round++) {
    const params = { name, arguments: args, ...more };
    const answer: UpstreamAnswer = await connection.request({ method: 'tools/call', params, headers }, hooks);
    if ('error' in answer || answer.result.resultType !== 'input_required') return;
    const { inputRequests, requestState } = answer.result;
    const asked = Object.keys(isJsonObject(inputRequests) ? inputRequests : {});
    const inputResponses = Object.fromEntries(asked.map((key): [string, Json] => [key, accept({})]));
    more = { inputResponses, ...(requestState !== undefined && { requestState }) };
  }
}

function accept(params: JsonObject): JsonObject {
  const schema = params.requestedSchema;
  const content = isJsonObject(schema)
    ? mapProperties(schema, (property) => property.default ?? null)
    : { confirmed: true };
  return { action: 'accept', content };
}

function echoed(): JsonObject {
  return { schema: schemas.get('json_schema_2020_12_tool') ?? {} };
}

function sampleArguments(schema: JsonObject): JsonObject {
  const samples: Record<string, Json> = { number: 5, integer: 5, boolean: true, string: 'x' };
  return mapProperties(schema, ({ type }) => samples[String(type)] ?? null);
}

function mapProperties(schema: JsonObject, sample: (property: JsonObject) => Json): JsonObject {
  const properties = isJsonObject(schema.properties) ? schema.properties : {};
  return Object.fromEntries(Object.entries(properties).map(([key, property]) => [key, sample(property as JsonObject)]));
}
