export const delegationLimits = {
  /** How long a standing delegation lasts at most: whoever still wants it then says so again. */
  lifeDays: 90,
  /** How long it goes on without its person having looked at it. */
  reviewEveryDays: 30,
  /** Delegations in force of one person: a list that one can still read through. */
  perPerson: 200,
  /** Since a person signed in at the company's provider, for their ID token to count: providers give them for an hour. */
  idTokenMaxAgeSeconds: 3_600,
  /** Since the provider made an ID-JAG: it is for one request that follows at once. */
  idJagMaxAgeSeconds: 600,
  /** Life of the ID-JAGs that are made here: for one request that follows at once. Never longer than the token that they are made from. */
  idJagTtlSeconds: 300,
} as const;
