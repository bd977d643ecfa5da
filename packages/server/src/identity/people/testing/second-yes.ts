import { requireOther, type SecondYes } from '../second-yes.ts';

/** The yes of somebody whose passkey is taken as read: that it is asked for is tested where there are passkeys. */
export const yesOf = (by: string): SecondYes => ({
  by,
  async to(_, statement) {
    requireOther(statement, by.replace(/^person:/, ''));
    return `second yes of ${by} to ${statement.act} of ${statement.id}`;
  },
});
