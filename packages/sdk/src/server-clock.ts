/** Where the time comes from: milliseconds since the epoch. */
export interface AgentClock {
  now(): number;
}

export const systemClock: AgentClock = { now: () => Date.now() };

/**
 * The time as the server has it. What is signed for it (proofs, assertions) carries its own time, and the clock of this machine may be
 * minutes off: every answer corrects it.
 */
export interface ServerClock {
  /** How far the server's clock is ahead of ours; small differences are network. */
  skewSeconds(): number;
  nowSeconds(): number;
  /** Takes the time from an answer's Date header (RFC 9110 §6.6.1). True when it changed what we think. */
  learn(response: Response): boolean;
}

const NETWORK_SECONDS = 2;

export function createServerClock(clock: AgentClock = systemClock, skewSeconds = 0): ServerClock {
  let skew = skewSeconds;
  return {
    skewSeconds: () => skew,
    nowSeconds: () => Math.floor(clock.now() / 1000) + skew,
    learn(response) {
      const date = Date.parse(response.headers.get('date') ?? '');
      if (Number.isNaN(date)) return false;
      const seconds = Math.round((date - clock.now()) / 1000);
      const before = skew;
      skew = Math.abs(seconds) > NETWORK_SECONDS ? seconds : 0;
      return skew !== before;
    },
  };
}
