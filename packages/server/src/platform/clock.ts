/** Wall-clock time in milliseconds since the epoch. Passed in, so that tests and simulations own time. */
export interface Clock {
  now(): number;
}

export const systemClock: Clock = { now: () => Date.now() };
