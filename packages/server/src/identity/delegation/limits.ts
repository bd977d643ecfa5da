export const delegationLimits = {
  /** How long a standing delegation lasts at most: whoever still wants it then says so again. */
  lifeDays: 90,
  /** How long it goes on without its person having looked at it. */
  reviewEveryDays: 30,
  /** Delegations in force of one person: a list that one can still read through. */
  perPerson: 200,
} as const;
