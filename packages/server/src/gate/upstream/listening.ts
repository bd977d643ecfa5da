import { isJsonObject, type JsonObject, type Log } from '../../platform/index.ts';
import type { Exchanges } from './exchanges.ts';
import type { UpstreamLimits } from './limits.ts';
import { rpcErrors } from './messages.ts';
import { metaKeys } from './protocol.ts';
import { JsonRpcFailure, type ServerMessage, type UpstreamRequest, type Watch } from './types.ts';

interface Subscription {
  stop: AbortController;
  /** What the server agreed to announce. */
  honoured: Watch;
}

/**
 * `subscriptions/listen` (2026-07-28): one subscription for all that is watched. A change of what is watched opens a new one
 * before the old one ends, so that nothing is missed in between; one that the server ends is opened again.
 */
export function createListening(options: {
  exchanges: Exchanges;
  limits: UpstreamLimits;
  log: Log;
  params(request: UpstreamRequest): JsonObject;
}) {
  const { exchanges, limits, log } = options;
  const watches = new Set<Watch>();
  let current: Subscription | undefined;
  let turn: Promise<void> = Promise.resolve();

  return {
    async watch(what: Watch): Promise<() => Promise<void>> {
      watches.add(what);
      try {
        const honoured = await inTurn(renew);
        const uri = what.resourceSubscriptions?.find((wanted) => !honoured.resourceSubscriptions?.includes(wanted));
        if (uri !== undefined)
          throw new JsonRpcFailure({
            code: rpcErrors.invalidParams,
            message: `The server does not announce changes of ${uri}.`,
          });
      } catch (failure) {
        watches.delete(what);
        throw failure;
      }
      return async () => {
        if (watches.delete(what) && !exchanges.closed.aborted) await inTurn(renew);
      };
    },
  };

  /** One change after the other. */
  function inTurn<T>(task: () => Promise<T>): Promise<T> {
    const mine = turn.then(task);
    turn = mine.then(
      () => undefined,
      () => undefined,
    );
    return mine;
  }

  async function renew(): Promise<Watch> {
    const filter = union(watches);
    const before = current;
    current = Object.keys(filter).length === 0 ? undefined : await subscribe(filter);
    before?.stop.abort(new Error('What is watched has changed.'));
    return current?.honoured ?? {};
  }

  function subscribe(filter: Watch): Promise<Subscription> {
    const stop = new AbortController();
    const acknowledged = Promise.withResolvers<Subscription>();
    const request: UpstreamRequest = { method: 'subscriptions/listen', params: { notifications: { ...filter } } };
    let subscription: Subscription | undefined;
    const timer = setTimeout(() => stop.abort(new Error('No acknowledgement in time.')), limits.connectTimeoutMs);
    const answer = exchanges.request(request, options.params(request), {
      signal: stop.signal,
      lasting: true,
      onNotification(message) {
        if (message.method !== 'notifications/subscriptions/acknowledged') {
          if (subscription !== undefined) exchanges.announce(withoutSubscription(message));
          return;
        }
        clearTimeout(timer);
        const { notifications } = message.params;
        subscription = { stop, honoured: isJsonObject(notifications) ? (notifications as Watch) : {} };
        acknowledged.resolve(subscription);
      },
    });
    const over = answer.then(
      (given) => {
        clearTimeout(timer);
        if ('error' in given) acknowledged.reject(new JsonRpcFailure(given.error));
        else
          acknowledged.reject(
            new JsonRpcFailure({ code: rpcErrors.internal, message: 'The server ended the subscription.' }),
          );
      },
      (failure: unknown) => {
        clearTimeout(timer);
        acknowledged.reject(failure);
      },
    );
    void over.then(() => {
      if (subscription !== undefined && !stop.signal.aborted) reopen(subscription);
    });
    return acknowledged.promise;
  }

  /** The server ended it, or the connection broke: tried again while the connection lives, ever more slowly. */
  function reopen(ended: Subscription, attempt = 0): void {
    if (current !== ended || exchanges.closed.aborted) return;
    const timer = setTimeout(
      () => {
        exchanges.closed.removeEventListener('abort', clear);
        if (current !== ended) return;
        inTurn(async () => {
          if (current === ended) await renew();
        }).catch((failure: unknown) => {
          log.warn('upstream.listen-lost', { failure });
          reopen(ended, attempt + 1);
        });
      },
      Math.min(limits.retryDefaultMs * 2 ** attempt, limits.backoffMaxMs),
    );
    const clear = () => clearTimeout(timer);
    exchanges.closed.addEventListener('abort', clear, { once: true });
  }
}

function union(watches: Iterable<Watch>): Watch {
  const filter: Watch = {};
  const uris = new Set<string>();
  for (const watch of watches) {
    for (const flag of ['toolsListChanged', 'promptsListChanged', 'resourcesListChanged'] as const)
      if (watch[flag] === true) filter[flag] = true;
    for (const uri of watch.resourceSubscriptions ?? []) uris.add(uri);
  }
  if (uris.size > 0) filter.resourceSubscriptions = [...uris];
  return filter;
}

/** The subscription id names a request of ours and means nothing to anybody else. */
function withoutSubscription({ method, params }: ServerMessage): ServerMessage {
  if (!isJsonObject(params._meta)) return { method, params };
  const { [metaKeys.subscriptionId]: _ours, ...meta } = params._meta;
  const { _meta, ...rest } = params;
  return { method, params: Object.keys(meta).length === 0 ? rest : { ...rest, _meta: meta } };
}
