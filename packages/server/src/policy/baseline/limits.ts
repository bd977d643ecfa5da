export const baselineLimits = {
  /** Agents whose baselines are in memory; the one that was idle longest is read again when it calls. */
  agents: 20_000,
  /** Tools of one agent that are kept. Of more nothing is known, and that is said. */
  toolsPerAgent: 500,
  /** Resources of one tool that are kept. Where there are more, none is unusual, and that is said. */
  resourcesPerTool: 64,
  /** Values of one call that are looked at as resources or amounts; what has more counts as one that is not known. */
  valuesPerCall: 64,
  /** Resources of a tool that still are few: then another one is unusual. */
  fewResources: 32,
  /** Calls of one tool from which on its own hours, rate and resources are looked at; before, those of the agent as a whole are. */
  callsOfTool: 20,
  /** Times the usual highest rate from which on a rate is unusual, and the calls in an hour below which none is. */
  rateTimes: 3,
  rateFloor: 30,
  /** Times the usual highest amount from which on an amount is unusual. */
  amountTimes: 3,
  /** Times the usual largest result from which on one is unusual, and the bytes below which none is. */
  sizeTimes: 10,
  sizeFloor: 262_144,
  /** Values of a result that are looked at for its size. */
  valuesPerResult: 50_000,
  /** Days for which the number of calls is kept. */
  days: 31,
  /** Seconds after which what was learned is written: a crash loses as much of the learning, and nothing else. */
  writeSeconds: 30,
  /** Agents of which something waits to be written; of more it is written at once. */
  waitingAgents: 5_000,
  /** Seconds after which what other replicas have written is read. */
  readSeconds: 60,
} as const;
