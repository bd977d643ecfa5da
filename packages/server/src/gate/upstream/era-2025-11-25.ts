import { isJsonObject, type JsonObject } from '../../platform/index.ts';
import type { EraSpeaker } from './connection.ts';
import type { Channel } from './exchange.ts';
import type { Exchanges } from './exchanges.ts';
import { gatehouseInfo, legacyVersions, type Negotiated, versionText } from './protocol.ts';
import { JsonRpcFailure, type UpstreamClient, UpstreamFailure, type Watch } from './types.ts';

/** `initialize` and `notifications/initialized`. Throws UpstreamFailure. */
export async function initialize(
  exchanges: Exchanges,
  client: UpstreamClient,
  signal: AbortSignal,
): Promise<Negotiated> {
  const params = {
    protocolVersion: legacyVersions[0] as string,
    capabilities: client.capabilities,
    clientInfo: client.info ?? gatehouseInfo,
  };
  const answer = await exchanges.request({ method: 'initialize', params }, params, { signal, lasting: true });
  if ('error' in answer)
    throw new UpstreamFailure('unreachable', `The server refused initialize (${answer.error.code}).`);
  const { protocolVersion, capabilities, serverInfo, instructions } = answer.result;
  if (typeof protocolVersion !== 'string' || !legacyVersions.includes(protocolVersion))
    throw new UpstreamFailure(
      'unreachable',
      `The server speaks ${versionText([protocolVersion])}; Gatehouse speaks ${legacyVersions.join(', ')}.`,
    );
  return {
    era: '2025-11-25',
    protocolVersion,
    capabilities: isJsonObject(capabilities) ? capabilities : {},
    serverInfo: isJsonObject(serverInfo) ? serverInfo : {},
    instructions: typeof instructions === 'string' ? instructions : undefined,
  };
}

export const initialized: JsonObject = { jsonrpc: '2.0', method: 'notifications/initialized' };

export interface LegacySpeaker extends EraSpeaker {
  /** The session is new: what was watched is asked for again. */
  restore(): Promise<void>;
}

/** Changes of lists come by themselves in this era; changes of resources are asked for one by one. */
export function speakLegacy(exchanges: Exchanges, channel: Channel & { listen?(): Promise<void> }): LegacySpeaker {
  const watchers = new Map<string, number>();

  return {
    params: ({ params }) => params,
    notify: (method, params) => channel.send({ jsonrpc: '2.0', method, ...(params !== undefined && { params }) }),
    listening: () => void channel.listen?.(),

    async watch({ resourceSubscriptions = [] }: Watch) {
      await channel.listen?.();
      const uris = [...new Set(resourceSubscriptions)];
      const begun: string[] = [];
      try {
        for (const uri of uris) {
          const count = watchers.get(uri) ?? 0;
          watchers.set(uri, count + 1);
          begun.push(uri);
          if (count === 0) await ask('resources/subscribe', uri);
        }
      } catch (failure) {
        await unwatch(begun, true);
        throw failure;
      }
      let over = false;
      return async () => {
        if (over) return;
        over = true;
        await unwatch(begun, false);
      };
    },

    async restore() {
      for (const uri of watchers.keys()) await ask('resources/subscribe', uri);
    },
  };

  async function unwatch(uris: string[], refused: boolean): Promise<void> {
    for (const uri of uris) {
      const count = (watchers.get(uri) ?? 1) - 1;
      if (count > 0) watchers.set(uri, count);
      else {
        watchers.delete(uri);
        // The one that was refused is the last; there is nothing to take back.
        const last = refused && uri === uris.at(-1);
        if (!last && !exchanges.closed.aborted) await ask('resources/unsubscribe', uri);
      }
    }
  }

  async function ask(method: string, uri: string): Promise<void> {
    const params = { uri };
    const answer = await exchanges.request({ method, params }, params, { signal: exchanges.closed });
    if ('error' in answer) throw new JsonRpcFailure(answer.error);
  }
}
