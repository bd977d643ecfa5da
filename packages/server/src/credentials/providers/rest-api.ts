import {
  type Clock,
  GatehouseError,
  isJsonObject,
  type Json,
  type Outbound,
  parseStrictJson,
  type Secret,
} from '../../platform/index.ts';
import { NotMade } from '../leases/types.ts';
import { neverReached } from './never-reached.ts';

export interface RestAnswer {
  status: number;
  headers: Record<string, string>;
  /** Undefined: not JSON. */
  body: Json | undefined;
}

const TIMEOUT_MS = 8_000;
/** A token for 500 repositories describes each of them. */
const MAX_BYTES = 16 * 1024 * 1024;
/** However long it is told to wait, it asks again after this. */
const MOST_REST_MS = 15 * 60_000;
/** Where it is told to wait, and not how long: as GitHub documents it. */
const USUAL_REST_MS = 60_000;

export interface RestService {
  /** For people: `GitHub`. */
  name: string;
  /** Of the API, which the paths follow. */
  base: string;
  allowPrivateAddress: boolean;
  ca?: string | undefined;
  headers(token: string): Record<string, string>;
  /** In the service's own form: what stands between has another. */
  isOwn(answer: RestAnswer): boolean;
  /** Calls of one kind have a limit of their own. */
  limitOf?(path: string): string;
}

/** The REST API of a service that issues tokens, which is let be for as long as it asks for. */
export function createRestApi(
  { name, base, allowPrivateAddress, ca, headers: headersOf, isOwn, limitOf }: RestService,
  { clock, outbound }: { clock: Clock; outbound: Outbound },
) {
  const restsUntil = new Map<string, number>();
  const limited = (until: number, Failure: typeof GatehouseError) =>
    new Failure(
      'too-many',
      'provider.limited',
      `${name} has had too many requests and is not asked before ${new Date(until).toISOString()}. Try again then.`,
    );

  return {
    /** Any answer but a limit is one. Throws `NotMade` where nothing was sent or taken. */
    async call(
      method: 'GET' | 'POST' | 'DELETE',
      path: string,
      token: Secret,
      { body, signal }: { body?: object; signal: AbortSignal },
    ): Promise<RestAnswer> {
      signal.throwIfAborted();
      const limit = limitOf?.(path) ?? '';
      const restUntil = restsUntil.get(limit) ?? 0;
      if (clock.now() < restUntil) throw limited(restUntil, NotMade);
      const sent = outbound.fetch(`${base}${path}`, {
        method,
        headers: {
          'user-agent': 'gatehouse',
          ...headersOf(token.reveal()),
          ...(body && { 'content-type': 'application/json' }),
        },
        ...(body && { body: JSON.stringify(body) }),
        ...{ allowPrivateAddress, maxBytes: MAX_BYTES, timeoutMs: TIMEOUT_MS },
        ...(ca !== undefined && { ca }),
      });
      const {
        status,
        headers,
        body: bytes,
      } = await orAborted(sent, signal).catch((cause) => {
        const Failure = neverSent(cause) ? NotMade : GatehouseError;
        throw new Failure(
          'upstream',
          'provider.unreachable',
          `${name} could not be reached, or did not answer; the server’s log has the cause.`,
          { cause },
        );
      });
      const answer = { status, headers, body: jsonOf(bytes) };
      const rest = restOf(answer, clock.now());
      if (rest === undefined) return answer;
      const until = clock.now() + Math.min(rest, MOST_REST_MS);
      restsUntil.set(limit, until);
      throw limited(until, failureFor(answer, isOwn));
    },
  };
}

/** Nothing was made where the service itself refuses. What stands between may refuse for it what it had already let through. */
export const failureFor = (answer: RestAnswer, isOwn: RestService['isOwn']): typeof GatehouseError =>
  answer.status >= 400 && answer.status < 500 && isOwn(answer) ? NotMade : GatehouseError;

/** What it says of an error, for people. */
export const said = ({ body }: RestAnswer): string =>
  isJsonObject(body) && typeof body.message === 'string' ? body.message.replace(/\s+/g, ' ').slice(0, 200) : '';

/** How long it asks to be let be. */
function restOf({ status, headers, body }: RestAnswer, now: number): number | undefined {
  if (status !== 403 && status !== 429) return undefined;
  const seconds = Number(headers['retry-after']);
  if (headers['retry-after'] !== undefined && seconds >= 0) return seconds * 1_000;
  if (headers['x-ratelimit-remaining'] === '0') {
    const at = Number(headers['x-ratelimit-reset']) * 1_000;
    return at > now ? at - now : USUAL_REST_MS;
  }
  const isSecondary = isJsonObject(body) && typeof body.message === 'string' && /rate limit/i.test(body.message);
  return status === 429 || isSecondary ? USUAL_REST_MS : undefined;
}

function jsonOf(bytes: Buffer): Json | undefined {
  try {
    return parseStrictJson(bytes);
  } catch {
    return undefined;
  }
}

/** Before a connection was there: then nothing was made. */
function neverSent(error: unknown): boolean {
  if (!(error instanceof GatehouseError)) return false;
  if (error.code === 'outbound.url' || error.code === 'outbound.address-refused') return true;
  return (
    neverReached(error.cause) || (error.cause as { code?: unknown } | undefined)?.code === 'UND_ERR_CONNECT_TIMEOUT'
  );
}

async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
    work.catch(() => undefined);
  }
}
