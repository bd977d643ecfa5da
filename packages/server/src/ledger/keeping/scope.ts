import type { ActionRecord, KeepingScope } from '@gatehouse/protocol';

const email = (person: string) => person.replace(/^person:/, '').toLowerCase();

/** Whether a record is of what a hold is about. Anything that is not known to be outside is held. */
export function scopeFits(scope: KeepingScope, record: ActionRecord): boolean {
  const { agent, task, action, person, ticket, from, to } = scope;
  const at = Date.parse(record.time);
  const people = [record.on_behalf_of, record.requested_by, ...record.actor_chain.map(({ sub }) => sub)];
  return (
    (agent === undefined || record.agent === agent) &&
    (task === undefined || record.task === task) &&
    (action === undefined || record.action_id === action) &&
    (person === undefined || people.some((each) => each !== null && email(each) === email(person))) &&
    (ticket === undefined || record.ticket === ticket || record.change_request === ticket) &&
    (from === undefined || at >= Date.parse(from)) &&
    (to === undefined || at < Date.parse(to))
  );
}

export const scopeWords = (scope: KeepingScope): string =>
  Object.entries(scope)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
