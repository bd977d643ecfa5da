import { Secret } from '../../../platform/index.ts';
import { echoes } from '../authorization/echo.ts';
import { violation } from '../messages.ts';
import type { HttpCall, HttpCaller } from './call.ts';

/** An answer that holds what was made for its request alone is cut off: it would stand in the record and be in the agent's hands. */
export function cutOffEchoes(callHttp: HttpCaller, value: string | undefined, what: string): HttpCaller {
  if (value === undefined) return callHttp;
  const secret = new Secret(value);
  return (request, sizes, handlers) => {
    let ended = false;
    const cutOff = () => {
      if (ended) return;
      ended = true;
      handlers.onEnd({ kind: 'violation', failure: violation(`The server sent back ${what}.`) });
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
