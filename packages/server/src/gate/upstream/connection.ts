import type { JsonObject } from '../../platform/index.ts';
import type { Channel } from './exchange.ts';
import type { Exchanges } from './exchanges.ts';
import type { Negotiated } from './protocol.ts';
import type { ServerMessage, UpstreamConnection, UpstreamRequest, Watch } from './types.ts';

/** What the two eras do differently once they are connected. */
export interface EraSpeaker {
  /** Params as this era wants them. */
  params(request: UpstreamRequest): JsonObject;
  notify(method: string, params: JsonObject | undefined): Promise<void>;
  watch(what: Watch): Promise<() => Promise<void>>;
  /** Somebody listens to what belongs to no request. */
  listening(): void;
}

/** One face for both eras and both transports. */
export function createConnection(
  exchanges: Exchanges,
  channel: Channel,
  negotiated: Negotiated,
  speaker: EraSpeaker,
): UpstreamConnection {
  return {
    ...negotiated,
    closed: exchanges.closed,
    request: (request, hooks) => exchanges.request(request, speaker.params(request), hooks),
    notify: (method, params) => speaker.notify(method, params),
    onUnsolicited(listener: (message: ServerMessage) => void) {
      const stop = exchanges.listen(listener);
      speaker.listening();
      return stop;
    },
    watch: (what) => speaker.watch(what),
    close: (reason) => channel.close(reason),
  };
}
