export const budgetLimits = {
  /** Budgets of a workspace. */
  budgets: 500,
  /** Counters that one call may count on; the elements of its lists multiply. A call that needs more is refused. */
  countersPerCall: 100,
  /** Characters of a value that refusals and listings show. */
  shownValueChars: 60,
};
