import { limits } from '../../platform/index.ts';

/** Limits of the MCP door with their reasons; those that other rooms share are in platform/config.ts. */
export const doorLimits = {
  /** Entries of one list page. Many clients read only the first page, so a page holds what one server may sensibly serve. */
  listPageSize: 1_000,
  /** How long a client may trust a list. Short, because policy, reviews and kill change lists at any time. */
  listTtlMs: 5_000,
  /** Messages of one JSON-RPC batch (2025-03-26 only): enough for any client, too few to hide a flood in one body. */
  batchMessages: 50,
  /** A session without requests, open streams or running calls is forgotten after this time. */
  sessionIdleMs: 30 * 60_000,
  /** An answer that is not there after this time becomes a stream, so that a broken connection loses nothing. */
  streamAfterMs: 50,
  /** Reconnection time that a 2025-11-25 client is told. */
  reconnectAfterMs: 1_000,
  /** A comment line at this interval keeps proxies from cutting a quiet stream. */
  keepAliveMs: 15_000,
  /** Bytes that one stream keeps for a client that comes back. The newest message is kept whatever its size. */
  replayBytes: 4 * 1024 * 1024,
  /** Events that one stream keeps. */
  replayEvents: 1_000,
  /** Streams of one session that are kept after their last message, and their bytes, until the oldest give way. */
  finishedStreams: 32,
  finishedStreamBytes: 8 * 1024 * 1024,
  /** A client that reads slower than its server writes is cut off here; what it missed can be replayed. */
  unsentBytes: 16 * 1024 * 1024,
  /** Requests of one session that run at once. */
  callsPerSession: 256,
  /** Server requests that wait for one client at once. Fewer than a connection's, so that a slow user is no flooding server. */
  asksPerSession: 24,
  /** What a client has to answer a server's request, and how long a parked call waits for its retry. */
  askTimeoutMs: 5 * 60_000,
  /** Calls of one task that wait for a client's retry (2026-07-28 agent, 2025-11-25 server). Fewer than a connection's requests. */
  parkedPerTask: 16,
  parkedInAll: 2_000,
  /** Rounds of input that one call may ask for: a server that never has enough is ended. */
  inputRounds: 16,
  /** Life of a `requestState`: as long as an approval may take. */
  requestStateTtlSeconds: limits.approvalTtlSeconds,
  /** Used states that are remembered until they expire; when there are more, new rounds are refused. */
  usedStates: 100_000,
  /** A server's state, wrapped in ours, and answers that wait with it for an approval. */
  requestStateBytes: 256 * 1024,
  /** A call that waits for an approval is held this long when the client can see progress: below the usual 60 s timeout. */
  approvalHoldMs: 50_000,
  /** A call whose client was shown where to approve waits as long as the approval lives. */
  approvalWaitMs: limits.approvalTtlSeconds * 1_000,
  /** Progress is reported at this interval while a person is waited for. */
  approvalProgressMs: 5_000,
  /** When a client that was told to come back should do so. */
  approvalRetrySeconds: 10,
  /** Open subscription streams of one task (2026-07-28). */
  listensPerTask: 32,
  /** Resources that one session or stream may watch. */
  watchedResources: 500,
  /** Definitions of a server in use are compared at most this often, besides when it says that they changed. */
  definitionsMaxAgeMs: 60_000,
  /** Two looks at one server's definitions are at least this far apart: a server that cries change is not a load. */
  definitionsMinIntervalMs: 250,
  /** First look at a server that nobody has looked at yet: a list waits this long for it. */
  definitionsFirstWaitMs: 10_000,
  /** Questions that one MCP task may ask in its life. */
  asksPerTask: 256,
  /** MCP tasks of the gate's own that one task has at once, ended ones included: what waits, and results that are kept. */
  waitingTasksPerTask: 64,
  /** How long such a task and its result are kept beyond the question that it waits for, at least and at most: a client asks for `ttl` between them. */
  taskTtlMs: 15 * 60_000,
  taskTtlMostMs: 60 * 60_000,
  /** A result that is larger is not kept for a task. */
  taskResultBytes: 4 * 1024 * 1024,
  /** How often a client is told to look at a task while people decide, and while it runs. */
  taskPollMs: 5_000,
  runningTaskPollMs: 1_000,
  /** A call that is to be a task and is over within this time is answered with what became of it, where that is an error. */
  taskAtOnceMs: 1_000,
  /** MCP tasks of upstreams that are remembered with their owners. */
  rememberedTasks: 10_000,
  /** Bytes of the arguments that they were started with, and of what they asked their clients; the oldest are forgotten first. */
  rememberedTaskBytes: 64 * 1024 * 1024,
} as const;
