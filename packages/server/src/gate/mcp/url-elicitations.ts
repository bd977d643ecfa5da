import { isJsonObject, type JsonObject } from '../../platform/index.ts';
import type { UpstreamAnswer } from '../upstream/types.ts';
import type { AgentSide } from './agent-side.ts';
import { codes } from './rpc.ts';

/**
 * A 2025-11-25 server may answer with error -32042 and addresses to open instead of asking for them. To the agent's client that is
 * the same request (law 8), so it is decided on the same way; a 2026-07-28 client, which does not know the code, gets it as
 * input requests.
 */
export function urlElicitationsOf(
  agent: AgentSide,
  answer: UpstreamAnswer,
): { inputRequests: JsonObject; state: null } | undefined {
  if (!('error' in answer) || answer.error.code !== codes.urlElicitationRequired) return undefined;
  const data = isJsonObject(answer.error.data) ? answer.error.data : {};
  const elicitations = Array.isArray(data.elicitations) ? data.elicitations : [];
  const inputRequests: JsonObject = {};
  for (const [index, elicitation] of elicitations.entries()) {
    const { elicitationId, ...params } = isJsonObject(elicitation) ? elicitation : {};
    const asked: JsonObject = { ...params, mode: 'url' };
    if (agent.era === '2025-11-25' && elicitationId !== undefined) asked.elicitationId = elicitationId;
    inputRequests[`url_${index}`] = { method: 'elicitation/create', params: asked };
  }
  return { inputRequests, state: null };
}
