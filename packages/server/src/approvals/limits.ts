export const deputyLimits = {
  /** How long somebody speaks for another at most: whoever still needs a deputy names one again. */
  lifeDays: 90,
  /** How far ahead a deputy is named. */
  aheadDays: 180,
  /** Deputies of one person that are in force or ahead. */
  perPerson: 20,
  /** Deputies that are listed at once. */
  listed: 500,
} as const;
