/** Limits of the AuthZEN decision API, with their reasons; documented in docs/reference/limits.md. */
export const authzenLimits = {
  /** A request body. The arguments of a call are in it, and nobody can review more of them. */
  bodyBytes: 1024 * 1024,
  /** Evaluations of one request: each that is allowed is a dispatch on record. */
  evaluations: 50,
  /** Characters of a type, an id or an action's name. */
  nameChars: 4_096,
  /** Results of one page of a search, and how many it has when the request does not say. */
  searchPageSize: 200,
  /** What a search looks at in all: tools of the gateway's servers, or what its manifest knows. */
  searchCandidates: 10_000,
  /** How long a denied evaluation can be turned into an access request: as long as the approval that it waits for. */
  requestIdChars: 200,
} as const;
