import { isJsonObject, type JsonObject } from '../../../platform/index.ts';
import { type Door, gateInfo } from '../door-parts.ts';
import { asObject, elicitationModes } from '../grants.ts';
import { sendJson } from '../http-edge.ts';
import { answerText, codes, errorAnswer, type RpcRequest } from '../rpc.ts';
import type { Visit } from './handler.ts';
import { type Version, versions } from './session.ts';
import type { Sessions } from './sessions.ts';

/** The handshake: agrees on a version and opens a session. A version that we do not speak is answered with our newest. */
export async function initialize(door: Door, sessions: Sessions, visit: Visit, message: RpcRequest): Promise<void> {
  const { response, caller, view } = visit;
  const { protocolVersion, capabilities, clientInfo } = message.params;
  if (typeof protocolVersion !== 'string' || !isJsonObject(capabilities ?? {}) || !isJsonObject(clientInfo ?? {})) {
    const error = errorAnswer(codes.invalidParams, '"initialize" needs protocolVersion, capabilities and clientInfo.');
    return sendJson(response, 400, answerText(message.id, error));
  }
  const version = versions.find((known) => known === protocolVersion) ?? versions[0];
  const session = sessions.open(caller, view, version, clientCapabilities(asObject(capabilities), version));
  if (!session) {
    const error = errorAnswer(codes.limit, 'This task has too many open sessions. End one of them first.');
    return sendJson(response, 429, answerText(message.id, error));
  }
  const instructions = await door.catalogue.instructions(caller, view);
  const runsTasks = version === '2025-11-25' && (await door.catalogue.hasTaskTools(caller, view));
  const result: JsonObject = {
    protocolVersion: version,
    capabilities: {
      tools: { listChanged: true },
      prompts: { listChanged: true },
      resources: { subscribe: true, listChanged: true },
      logging: {},
      completions: {},
      ...(runsTasks && { tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } } }),
    },
    serverInfo: gateInfo,
    ...(instructions !== undefined && { instructions }),
  };
  sendJson(response, 200, answerText(message.id, { result }), { 'Mcp-Session-Id': session.id });
}

/** Only what the version knows: a client can't get by an unknown word what its version does not have. */
function clientCapabilities(declared: JsonObject, version: Version): JsonObject {
  const { extensions, elicitation, ...rest } = declared;
  if (!isJsonObject(elicitation) || version === '2025-03-26') return rest;
  return { ...rest, elicitation: version === '2025-11-25' ? elicitation : formOnly(declared) };
}

const formOnly = (declared: JsonObject): JsonObject => (elicitationModes(declared).form ? { form: {} } : {});
