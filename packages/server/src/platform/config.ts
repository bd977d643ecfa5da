/** What one server process is told from outside. Everything else lives in the workspace (storage). */
export interface Config {
  /** Directory of the embedded database, keys and upstreams' working directories. */
  dataDir: string;
  /** `sqlite` (in dataDir) or a `postgres://` URL. */
  database: string;
  host: string;
  port: number;
  /** Base of every address that is handed out, without a trailing slash; its origin is the WebAuthn relying party. */
  publicUrl: string;
  /**
   * PEM files of the certificate (with its chain) and the key that `port` speaks TLS with; plain HTTP without. They are read again
   * when they change. `clientCertificates`: clients are asked for one there too, which makes browsers ask their users.
   */
  tls?: { certificateFile: string; keyFile: string; clientCertificates?: boolean } | undefined;
  /** A port of its own for mutual TLS, whose certificate is Gatehouse's own X.509-SVID; `url` is where agents reach it. */
  mutualTls?: { port: number; url: string } | undefined;
  /** A port for Envoy's external authorization over gRPC, with Gatehouse's own X.509-SVID and mutual TLS only. */
  extAuthz?: { port: number } | undefined;
  /** Clients that people drive agents with and that nobody has registered. */
  clients?: {
    /** True: anybody may register one (RFC 7591); it is worth nothing until a person consents to it. Default false. */
    dynamic?: boolean;
    /** Hosts whose client metadata documents are read. Default: any public host. */
    hosts?: string[];
  };
  /** Addresses or ranges of proxies in front of this server, whose `X-Forwarded-For` is believed. Default: none. */
  trustedProxies?: string[];
  /** True: every DPoP proof needs a nonce of the replica that it is sent to (RFC 9449 §8). Default false. */
  requireProofNonce?: boolean;
  /** Directories may provision agents as well (SCIM; by a draft, so off unless wanted). */
  scimAgents?: boolean;
  /** SPIFFE trust domain of the workspace. */
  trustDomain: string;
  /** Name of this replica; owns one Merkle log. */
  replica: string;
  /**
   * Who cosigns the checkpoints of this replica's log: a trust policy file (c2sp.org/tlog-policy). With `failClosedAfterSeconds` nothing is
   * dispatched while records have waited longer for enough cosignatures; without, it goes on and the time is shown.
   */
  witnesses?: { policyFile: string; failClosedAfterSeconds?: number };
  /** Where this replica's log is published: a directory, or `s3://BUCKET/PREFIX?region=…&endpoint=…`. */
  publishLogTo?: string;
  /** Who may read tiles and checkpoints over HTTP. Default: who may read records. */
  publicLog?: boolean;
  /** Sources of key-encryption keys (`file:PATH`, `env:NAME`, …), the preferred one first. Default: a file in dataDir. */
  keyEncryption?: string[];
  /** The `OTEL_…` variables of the environment; spans are sent where they name a collector. Default: none are made. */
  openTelemetry?: Record<string, string>;
  /** Signing keys that are older rotate by themselves. Default 30. */
  rotateKeysAfterDays?: number;
  /** Arguments of actions are removed after so many days, unless a hold keeps them; 0: never. Default 90. */
  keepArgumentsDays?: number;
}

/** Limits with their reasons. Documented in docs/reference/limits.md; each has a test. */
export const limits = {
  /** One JSON-RPC message or API body. Larger payloads belong in the tool, not in a call. */
  requestBodyBytes: 4 * 1024 * 1024,
  /** One upstream answer or event; more is cut off and reported as an upstream failure. */
  upstreamMessageBytes: 16 * 1024 * 1024,
  /** Nesting of any JSON taken from outside: deeper input is only ever an attack on recursion. */
  jsonDepth: 64,
  /** A request whose body has not arrived in this time is dropped. */
  requestBodyTimeoutMs: 15_000,
  /** A tool call with no answer and no progress in this time is ended as `unknown`. */
  upstreamIdleTimeoutMs: 120_000,
  /** Messages that an upstream may send for one call before it is treated as flooding. */
  upstreamMessagesPerCall: 10_000,
  /** Characters of a stated intent; it goes into the record, which has 64 KiB in all. */
  intentChars: 2_000,
  /** Tools that one server may serve. */
  toolsPerServer: 2_000,
  /** Open MCP sessions of one task. */
  sessionsPerTask: 16,
  /** Pending approvals of one agent: an approver must not be worn down. */
  pendingApprovalsPerAgent: 20,
  /** Of those, approvals on behalf of one proven user: one user of a shared agent must not silence the others. */
  pendingApprovalsPerUser: 10,
  /** Questions of one agent to people in an hour, unless its blueprint or template says otherwise. */
  questionsPerAgentAndHour: 30,
  /** A call that was denied is not asked about again for so long, unless its blueprint or template says otherwise. */
  deniedForSeconds: 600,
  /** Depth of an actor chain (RFC 8693 `act`). */
  actorChainDepth: 8,
  /** Life of an access token. */
  tokenTtlSeconds: 900,
  /** Life of the transaction token of one call to a tool server, made as the call is sent. Never longer than the task. */
  txnTokenTtlSeconds: 60,
  /** Life of the token that tells a cloud who an agent is, made as a credential is asked for. */
  identityTokenTtlSeconds: 300,
  /** Life of a task unless its template says less. */
  taskTtlSeconds: 3_600,
  /** Life of a pending approval. */
  approvalTtlSeconds: 900,
  /** Approvals that one gesture of a passkey signs, as a list that its person has looked through. */
  approvalsPerGesture: 50,
  /** Arguments in which the approvals of one list may differ: the columns of a table that people can compare. */
  approvalListColumns: 6,
  /** A replica whose lease ran out this long ago is gone, and what it had sent and not ended is unknown. One lease more. */
  replicaGoneSeconds: 5,
  /** Decisions that one answer of the statistics looks at. */
  approvalsInStatistics: 100_000,
} as const;
