import { oauthLimits } from '../../credentials/index.ts';
import { limits } from '../../platform/index.ts';

/** What one upstream may do to us; see platform/config.ts for the reasons of the first four. */
export const upstreamLimits = {
  ...oauthLimits,
  messageBytes: limits.upstreamMessageBytes as number,
  idleTimeoutMs: limits.upstreamIdleTimeoutMs as number,
  messagesPerCall: limits.upstreamMessagesPerCall as number,
  definitions: limits.toolsPerServer as number,
  /** Time to connect, spawn and shake hands. */
  connectTimeoutMs: 30_000,
  /** A stdio server that has not answered `server/discover` by then is taken for one of 2025-11-25, which may keep silent. */
  probeTimeoutMs: 5_000,
  /** Unsolicited notifications are counted over this time, against `messagesPerCall`. */
  unsolicitedWindowMs: 60_000,
  /** A few may be honest confusion (a restart, a race); more are a guess at other requests' ids. */
  strayAnswersPerConnection: 16,
  /** Ids of cancelled requests that are remembered, so that their late answers do not count as strays. */
  abandonedIds: 1_000,
  /** Questions of a server that may wait for an answer at once. */
  serverRequests: 32,
  /** Text after a failed HTTP status that is looked at. */
  errorBodyBytes: 65_536,
  /** What a stdio server has left unread before it is taken for dead. */
  unreadBytes: 16 * 1024 * 1024,
  /** One line of standard error in the log; the rest is cut. */
  stderrLineBytes: 2_000,
  /** Lines of standard error in the log per minute and process. */
  stderrLinesPerMinute: 120,
  /** What a server may ask us to wait before it is polled again (`retry` of SSE). */
  retryMaxMs: 60_000,
  retryMinMs: 50,
  /** Wait before a broken stream is resumed when the server names no time. */
  retryDefaultMs: 1_000,
  /** Failed attempts to resume one stream. */
  resumeAttempts: 5,
  /** Longest wait between two starts of a server that keeps dying. */
  backoffMaxMs: 30_000,
  /** A stdio server has this time to leave after its standard input closed, and again after SIGTERM. */
  exitGraceMs: 1_000,
  /** Scopes that one server may bring us to ask for, over time. */
  scopesPerServer: 64,
  /** Times that one call asks for more scopes: a server that never has enough is not asked again. */
  stepUpsPerCall: 2,
  /** A token is renewed this long before it expires, so that none expires on its way. */
  renewBeforeMs: 30_000,
  /** After a server has refused a new token, or an authorization server us, nothing is tried for this time. */
  refusedPauseMs: 15_000,
  /** What a server says of its authorization is read again after this time, and whenever it refuses a token. */
  discoveryMaxAgeMs: 10 * 60_000,
  /** A credential to say what it serves is lent to a server once in this time, unless a person asks. */
  lendToDescribeMs: 60 * 60_000,
};

export type UpstreamLimits = typeof upstreamLimits;
