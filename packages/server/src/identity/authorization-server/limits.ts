/** Bounds of the authorization server, with their reasons; documented in docs/reference/limits.md. */
export const authorizationLimits = {
  /** Body of a request here: it has two JWTs and a task, and is far below this. */
  bodyBytes: 32 * 1024,
  /** The query of an authorization request; larger ones are pushed (RFC 9126). */
  queryChars: 8 * 1024,
  /** `state` is kept with its request and sent back. */
  stateChars: 2_000,
  /** For a person to sign in, read and answer. */
  requestTtlSeconds: 600,
  /** Life of an authorization code: RFC 6749 §4.1.2 recommends ten minutes at most, and a program needs seconds. */
  codeTtlSeconds: 60,
  /** Requests of one client that wait on one replica; of more, the oldest go. Anybody can begin one, and each is kept. */
  requestsPerClient: 1_000,
  /** The same of all clients together; of more, the oldest of the client that has most go. */
  requestsInAll: 10_000,
  /** Between two polls for a device code or an `auth_req_id`; each that comes earlier is told to wait for as much longer (RFC 8628 §3.5). */
  pollIntervalSeconds: 5,
  /** Requests out of band (CIBA) that wait for one person: who is asked too often says yes to be left in peace. */
  asksPerPerson: 20,
  /** Such a request waits so long at least, whatever `requested_expiry` says: those that end at once would count for nothing. */
  askMinTtlSeconds: 60,
  /** Requests out of band of one agent to one person in ten minutes, on one replica: each is a record, and asks somebody. */
  asksPerTenMinutes: 30,
  /** Characters of a `binding_message`, which a person compares. */
  bindingMessageChars: 200,
  /** Clients that have registered themselves; of more, those go that are forgotten first. */
  dynamicClients: 1_000,
  /** Life of a registered client that nobody has consented to. */
  unusedClientTtlSeconds: 24 * 3_600,
  /** Life of a registered client since somebody has consented to it. */
  usedClientTtlSeconds: 30 * 24 * 3_600,
  /** Metadata of a client that registers itself. */
  clientMetadataChars: 8_000,
  /** Bytes of a client's metadata document or key set. */
  clientDocumentBytes: 16 * 1024,
  /** Documents of clients that are fetched at once: whoever reaches the server can have one fetched. */
  clientDocumentsAtOnce: 16,
  /** The same document is not fetched again in this time, whatever came of it. */
  clientDocumentRestSeconds: 10,
  /** Refusals of one agent's tokens, proofs and requests that a replica records in a minute; the next record counts the rest. */
  agentRefusalsPerMinute: 10,
  /** The same of all who prove nothing, together: anybody can send them, and each is a record. */
  unprovenRefusalsPerMinute: 20,
  /** Characters of a client's id that is an address. */
  clientIdChars: 500,
};
