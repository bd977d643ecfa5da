/** Of a comparison of two sets of policies, so that it ends whatever it is given. */
export const diffLimits = {
  /** Calls that are made up and put to both sides. */
  calls: 20_000,
  /** For one template, tool and policy. */
  callsOfOne: 160,
  /** Values of one thing that conditions compare. */
  values: 12,
  /** Agents, places and people that a pair is tried with. */
  callers: 12,
  /** Changes of which each is tried by itself. */
  changesAlone: 200,
  /** Calls that are answered otherwise and are looked at one by one, to say because of what. */
  examined: 2_000,
} as const;
