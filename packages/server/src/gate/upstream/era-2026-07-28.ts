import { isJsonObject, type Json, type JsonObject, type Log } from '../../platform/index.ts';
import type { EraSpeaker } from './connection.ts';
import type { Exchanges } from './exchanges.ts';
import type { UpstreamLimits } from './limits.ts';
import { createListening } from './listening.ts';
import { rpcErrors } from './messages.ts';
import { gatehouseInfo, metaKeys, modernVersion, type Negotiated, versionText } from './protocol.ts';
import { type UpstreamAnswer, type UpstreamClient, UpstreamFailure, type UpstreamRequest } from './types.ts';

/** The request's params with what this era wants in every `_meta`. Whoever calls cannot set these keys. */
function modernParams(request: UpstreamRequest, client: UpstreamClient): JsonObject {
  const meta = isJsonObject(request.params._meta) ? request.params._meta : undefined;
  return {
    ...request.params,
    _meta: {
      ...meta,
      [metaKeys.protocolVersion]: modernVersion,
      [metaKeys.clientInfo]: client.info ?? gatehouseInfo,
      [metaKeys.clientCapabilities]: request.clientCapabilities ?? client.capabilities,
    },
  };
}

/**
 * `server/discover`: what the server agrees to, or undefined when it belongs to the earlier era. Throws UpstreamFailure
 * `unreachable` when it speaks neither.
 */
export async function discover(
  exchanges: Exchanges,
  client: UpstreamClient,
  signal: AbortSignal,
): Promise<Negotiated | undefined> {
  const request = { method: 'server/discover', params: {} };
  const ask = () => exchanges.request(request, modernParams(request, client), { signal, lasting: true });
  let answer = await ask();
  // A server that refuses the version which it says it speaks may mean it the second time.
  if (refusedVersions(answer)?.includes(modernVersion) === true) answer = await ask();
  if ('error' in answer) return settleVersion(refusedVersions(answer));
  const { supportedVersions, capabilities, instructions, _meta } = answer.result;
  if (!Array.isArray(supportedVersions)) return undefined;
  if (!supportedVersions.includes(modernVersion)) return settleVersion(supportedVersions);
  const serverInfo = isJsonObject(_meta) ? _meta[metaKeys.serverInfo] : undefined;
  return {
    era: '2026-07-28',
    protocolVersion: modernVersion,
    capabilities: isJsonObject(capabilities) ? capabilities : {},
    serverInfo: isJsonObject(serverInfo) ? serverInfo : {},
    instructions: typeof instructions === 'string' ? instructions : undefined,
  };
}

/** What a server of this era says that it speaks when it refuses a version. */
function refusedVersions(answer: UpstreamAnswer): Json[] | undefined {
  if (!('error' in answer) || answer.error.code !== rpcErrors.unsupportedProtocolVersion) return undefined;
  const supported = isJsonObject(answer.error.data) ? answer.error.data.supported : undefined;
  return Array.isArray(supported) ? supported : undefined;
}

/** The server does not take our version: it is of the earlier era, unless all that it offers is of this one. */
function settleVersion(supported: Json[] | undefined): undefined {
  const versions = (supported ?? []).filter((version) => typeof version === 'string');
  if (versions.length > 0 && versions.every((version) => version >= modernVersion))
    throw new UpstreamFailure(
      'unreachable',
      `The server speaks ${versionText(versions)}; Gatehouse speaks ${modernVersion} and earlier.`,
    );
}

export function speakModern(
  exchanges: Exchanges,
  client: UpstreamClient,
  options: { limits: UpstreamLimits; log: Log },
): EraSpeaker {
  const listening = createListening({
    ...options,
    exchanges,
    params: (request) => modernParams(request, client),
  });
  return {
    params: (request) => modernParams(request, client),
    // This era has no notification of a client's but the cancellation, which the channels see to.
    notify: async () => undefined,
    watch: (what) => listening.watch(what),
    listening: () => undefined,
  };
}
