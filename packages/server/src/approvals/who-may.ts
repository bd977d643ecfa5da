import type { PersonManifest, Role } from '@gatehouse/protocol';
import { GatehouseError } from '../platform/index.ts';

/** Who says no needs less than who says yes: a no only narrows. */
const MAY_DENY: Role[] = ['approver', 'security', 'admin'];

export interface Asked {
  /** The agent's owner now. */
  owner: string;
  /** These two as the agent declared them: they can take somebody out of the circle of approvers and bring nobody in (law 9). */
  requestedBy: string | null;
  onBehalfOf: string | null;
  /** For whom it is done, as was proven. */
  user: string | null;
}

/** Throws unless this person may approve: an approver or the agent's owner, and not the one who wants it (law 4). */
export function requireApprover(person: PersonManifest | undefined, asked: Asked): void {
  if (!person || !(person.roles.includes('approver') || person.email === asked.owner)) {
    throw new GatehouseError(
      'forbidden',
      'approval.not-approver',
      "Only the agent's owner or somebody with the role approver can approve this. Ask one of them.",
    );
  }
  if (wantsIt(asked, person.email)) {
    throw new GatehouseError(
      'forbidden',
      'approval.requester',
      'This action was asked for by you or is done for you, so that somebody else has to approve it.',
    );
  }
}

export const wantsIt = ({ requestedBy, onBehalfOf, user }: Asked, email: string): boolean =>
  [requestedBy, onBehalfOf, user].some((declared) => names(declared, email));

export function requireDenier(person: PersonManifest | undefined, asked: Asked): void {
  if (person && (person.email === asked.owner || MAY_DENY.some((role) => person.roles.includes(role)))) return;
  throw new GatehouseError(
    'forbidden',
    'approval.not-approver',
    "Only the agent's owner, approvers, security and admins can deny this.",
  );
}

/** Whether a declared text names this address in any of the ways people write one (`person:A@B`, `Name <a@b>`, `mailto:a@b`). */
function names(declared: string | null, email: string): boolean {
  const plain = (text: string) => text.normalize('NFKC').toLowerCase();
  return plain(declared ?? '')
    .split(/[\s<>()[\]"',;]+/)
    .some((word) => word.replace(/^([a-z]+:)+(\/\/)?/, '') === plain(email));
}
