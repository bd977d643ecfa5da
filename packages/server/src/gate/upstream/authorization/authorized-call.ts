import type { Dispatcher } from 'undici';
import { GatehouseError, type Log } from '../../../platform/index.ts';
import { callHttp, type HttpCall, type HttpCaller, type HttpEnd } from '../http/call.ts';
import { violation } from '../messages.ts';
import { UpstreamFailure } from '../types.ts';
import type { Attempt, Authorizer } from './types.ts';

/**
 * `callHttp` with the gate's own credential for this server. A refusal that a token helps against is answered with one, and the request is
 * sent again: a server that answers 401, or 403 for want of a scope, has not run it. `dispatcher` knows one origin, so that the
 * credential goes nowhere else. An answer that holds it is cut off (law 3).
 */
export function authorizedCaller(dispatcher: Dispatcher, authorizer: Authorizer, log: Log): HttpCaller {
  return (request, sizes, handlers) => {
    const attempt: Attempt = {
      token: undefined,
      nonce: undefined,
      nonceRetries: 0,
      adopted: false,
      renewed: false,
      stepUps: 0,
    };
    let current: HttpCall | undefined;
    let aborted = false;
    let ended = false;

    const end = (how: HttpEnd) => {
      if (ended) return;
      ended = true;
      handlers.onEnd(how);
    };
    const failed = (error: unknown) => {
      // Whatever else went wrong here is for the log, not for whoever called.
      const isKnown = error instanceof UpstreamFailure || error instanceof GatehouseError;
      const message = 'Gatehouse could not authorize itself at the server; its log has the cause.';
      if (!isKnown) log.error('upstream.not-authorized', { error });
      end({ kind: 'failed', error: isKnown ? error : new Error(message, { cause: error }), sent: false });
    };
    const cutOff = () => {
      end({
        kind: 'violation',
        failure: violation('The server sent back the credential that Gatehouse called it with.'),
      });
      current?.abort();
    };

    const send = async () => {
      const credential = await authorizer.headers(request.method, attempt);
      if (aborted) return failed(new Error('The call was aborted.'));
      current = callHttp(dispatcher, { ...request, headers: { ...request.headers, ...credential } }, sizes, {
        ...handlers,
        onEvents(headers) {
          authorizer.heard(headers);
          handlers.onEvents?.(headers);
        },
        onEvent(event) {
          if (ended) return undefined;
          if (event.data === '' || !authorizer.echoes(event.data)) return handlers.onEvent?.(event);
          cutOff();
          return undefined;
        },
        onEnd(how) {
          if (how.kind !== 'whole') return end(how);
          authorizer.heard(how.headers);
          if (authorizer.echoes(how.body)) return cutOff();
          if (how.status !== 401 && how.status !== 403) return end(how);
          authorizer
            .refused(how.status, how.headers, attempt)
            .then((again) => (again && !aborted ? begin() : end(how)), failed);
        },
      });
    };
    const begin = () => void send().catch(failed);

    begin();
    return {
      abort() {
        aborted = true;
        current?.abort();
      },
    };
  };
}
