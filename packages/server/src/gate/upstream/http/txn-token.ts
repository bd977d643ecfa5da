import { Secret } from '../../../platform/index.ts';
import { echoes } from '../authorization/echo.ts';
import { violation } from '../messages.ts';
import type { HttpCall, HttpCaller } from './call.ts';

/** draft-ietf-oauth-transaction-tokens, "Using Txn-Tokens". */
export const txnTokenHeader = 'txn-token';

/**
 * An answer that holds the transaction token of its request is cut off: it would stand in the record (the draft's "Logging") and be in the agent's hands.
 * Without its signature it may come back.
 */
export function keepsTxnToken(callHttp: HttpCaller): HttpCaller {
  return (request, sizes, handlers) => {
    const signature = request.headers[txnTokenHeader]?.split('.')[2];
    if (signature === undefined) return callHttp(request, sizes, handlers);
    const secret = new Secret(signature);
    let ended = false;
    const cutOff = () => {
      if (ended) return;
      ended = true;
      const failure = violation('The server sent back the transaction token of the call.');
      handlers.onEnd({ kind: 'violation', failure });
      call.abort();
    };
    const call: HttpCall = callHttp(request, sizes, {
      ...handlers,
      onEvent(event) {
        if (ended) return undefined;
        if (event.data === '' || !echoes(event.data, secret)) return handlers.onEvent?.(event);
        cutOff();
        return undefined;
      },
      onEnd(how) {
        if (ended) return;
        if (how.kind === 'whole' && echoes(how.body, secret)) return cutOff();
        ended = true;
        handlers.onEnd(how);
      },
    });
    return call;
  };
}
