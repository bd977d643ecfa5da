import type { ProposalState } from '@gatehouse/protocol';
import { GatehouseError } from '../../platform/index.ts';
import type { Deciders } from './deciders.ts';
import { secondPersonLimits as limits } from './limits.ts';
import type { ProposalRow } from './proposal-rows.ts';

type Asked = Pick<ProposalRow, 'number' | 'author' | 'agreed_by'>;

/** The host's token and the house itself say nothing about who has written it. */
const authorOf = ({ author }: Asked) => (author.startsWith('person:') ? author.slice('person:'.length) : null);

/** Everybody else who could ship or lately could have. */
const othersThan = (person: string, { lately }: Deciders) =>
  [...lately.keys()].filter((email) => email !== person).sort();

/** Who has said the first of two yeses; null where nobody has, or they decide nothing any more. */
export function agreedBefore({ agreed_by }: Asked, { now }: Deciders): string | null {
  const email = agreed_by?.slice('person:'.length) ?? null;
  return email !== null && now.has(email) ? email : null;
}

/** A yes to what nobody has put their name to is the word of its author, at best: it takes another one. */
export const isFirstOfTwo = (row: Asked, person: string, deciders: Deciders): boolean =>
  authorOf(row) === null && agreedBefore(row, deciders) === null && othersThan(person, deciders).length > 0;

export const isAlone = (row: Asked, person: string, deciders: Deciders): boolean =>
  [null, person].includes(authorOf(row)) && othersThan(person, deciders).length === 0;

/**
 * Why this person may not ship it now; null: they may. Nobody ships what they have written or have said yes to already, unless nobody else
 * could, nor could have lately: whoever takes the role or the passkey from the others is not alone by that.
 */
export function whyNotShip(
  row: Asked,
  state: ProposalState,
  person: string,
  deciders: Deciders,
): GatehouseError | null {
  if (state !== 'open') return notOpen(row.number, state);
  if (!deciders.now.has(person))
    return new GatehouseError(
      'forbidden',
      'proposal.not-decider',
      'A change of the policies is shipped by an admin or by security, with a passkey. Ask one of them.',
    );
  const others = othersThan(person, deciders);
  if (others.length === 0) return null;
  if (authorOf(row) === person)
    return new GatehouseError(
      'forbidden',
      'proposal.author',
      `You have written this change, so that somebody else ships it: ${whoElse(others, deciders)}`,
    );
  if (agreedBefore(row, deciders) === person)
    return new GatehouseError(
      'forbidden',
      'proposal.agreed',
      `The token of the server's host has proposed this, so that it takes two people. You have said yes already; the other is one of: ${whoElse(others, deciders)}`,
    );
  return null;
}

function whoElse(others: readonly string[], { now, lately }: Deciders): string {
  const present = others.filter((email) => now.has(email));
  if (present.length > 0) return `${present.slice(0, 5).join(', ')}${present.length > 5 ? ' …' : ''}.`;
  const until = Math.max(...others.map((email) => lately.get(email) ?? 0)) + limits.formerDecidersMs;
  const day = new Date(until).toISOString().slice(0, 16).replace('T', ' ');
  return `but ${others.slice(0, 5).join(', ')}, who could until lately, can no longer. Until ${day} UTC nobody ships alone; or give somebody else the role before, which waits as well.`;
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
