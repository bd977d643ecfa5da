import { GatehouseError, type Log, toProblem } from '../platform/index.ts';
import { securityHeaders } from './static.ts';

/** What somebody is told of an error of theirs or ours (RFC 9457), and what we are told of ours. */
export function answerProblem(error: unknown, log: Log): Response {
  const { status: usual, body, nonce } = problemOf(error);
  // A slow body is the client's doing, unlike whatever else takes too long here.
  const status = error instanceof GatehouseError && error.code === 'body.slow' ? 408 : usual;
  // What somebody else's server did is their failure: an alert on errors must mean ours.
  if (error instanceof GatehouseError && error.kind === 'upstream')
    log.warn('what an API request needs from elsewhere could not be had', { error });
  else if (status >= 500) log.error('an API request failed', { error });
  return new Response(JSON.stringify({ ...body, status }), {
    status,
    headers: {
      ...securityHeaders,
      ...nonce,
      'content-type': 'application/problem+json',
      'cache-control': 'no-store',
    },
  });
}

/** RFC 9449 §9: a nonce goes in a header. */
export function problemOf(error: unknown): {
  status: number;
  body: Record<string, unknown>;
  nonce: Record<string, string>;
} {
  const { status, body } = toProblem(error);
  const { dpopNonce, ...rest } = body;
  return { status, body: rest, nonce: typeof dpopNonce === 'string' ? { 'dpop-nonce': dpopNonce } : {} };
}
