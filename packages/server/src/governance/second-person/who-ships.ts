import type { ProposalState } from '@gatehouse/protocol';
import { GatehouseError } from '../../platform/index.ts';
import type { ProposalRow } from './proposal-rows.ts';

/** Why this person may not ship it now; null: they may. Nobody ships their own change, unless nobody else could. */
export function whyNotShip(
  row: ProposalRow,
  state: ProposalState,
  person: string,
  deciders: ReadonlySet<string>,
): GatehouseError | null {
  if (state !== 'open') return notOpen(row.number, state);
  if (!deciders.has(person))
    return new GatehouseError(
      'forbidden',
      'proposal.not-decider',
      'A change of the policies is shipped by an admin or by security, with a passkey. Ask one of them.',
    );
  const others = [...deciders].filter((email) => `person:${email}` !== row.author).sort();
  if (row.author === `person:${person}` && others.length > 0)
    return new GatehouseError(
      'forbidden',
      'proposal.author',
      `You have written this change, so that somebody else ships it: ${others.slice(0, 5).join(', ')}${others.length > 5 ? ' …' : ''}.`,
    );
  return null;
}

const words: Record<string, string> = {
  shipped: 'has been shipped already',
  rejected: 'was rejected or taken back',
  expired: 'has expired',
  stale: 'was made against policies that have changed since',
  decided: 'has been decided meanwhile',
};

export function notOpen(number: number, state: string): GatehouseError {
  const next = state === 'shipped' ? '' : ' If it is still wanted, apply it again for a new proposal.';
  return new GatehouseError(
    'conflict',
    state === 'stale' ? 'proposal.stale' : 'proposal.decided',
    `Proposed change ${number} ${words[state] ?? state}.${next}`,
    { extra: { state } },
  );
}
