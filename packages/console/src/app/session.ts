import type { AgentView, Approval, Role, SessionView, ShownLease } from '@gatehouse/protocol';
import { useSuspenseQuery } from '@tanstack/react-query';
import { sessionQuery } from '../api/queries.ts';

/** Who is signed in; only inside the shell, which has asked already. */
export function useSession(): SessionView {
  return useSuspenseQuery(sessionQuery).data;
}

/**
 * Why this person can't do something, or null. The server decides; this only spares people a refusal, and says whom to ask.
 */
export type Obstacle = string | null;

export function needsRole(session: SessionView, roles: readonly Role[], what: string): Obstacle {
  if (session.person.roles.some((role) => roles.includes(role))) return null;
  return `${what} needs the role ${roles.join(' or ')}; you have ${session.person.roles.join(', ') || 'none'}. Ask an admin.`;
}

export const mayKill = (session: SessionView, agent: Owned): Obstacle =>
  looksAfter(session, agent, `kill ${agent.name}`);

/** Its keys, tasks and join tokens. */
export const mayOperate = (session: SessionView, agent: Owned): Obstacle =>
  looksAfter(session, agent, `do this to ${agent.name}`);

/** A credential that its agent, if it is of one, has from its provider. */
export const mayEndLease = (
  session: SessionView,
  { agent, agentOwner }: Pick<ShownLease, 'agent' | 'agentOwner'>,
): Obstacle =>
  agentOwner === null
    ? needsRole(session, ['admin', 'security'], 'Ending a credential')
    : looksAfter(session, { name: agent, manifest: { owner: agentOwner } }, `end a credential of ${agent}`);

type Owned = { name: string; manifest: Pick<AgentView['manifest'], 'owner'> };

function looksAfter({ person: { email, roles } }: SessionView, { manifest: { owner } }: Owned, what: string): Obstacle {
  if (roles.includes('admin') || roles.includes('security')) return null;
  if (owner === email && roles.some((role) => role === 'owner' || role === 'developer' || role === 'approver'))
    return null;
  return `Only ${owner} (the owner), security or an admin can ${what}.`;
}

export function mayApprove(session: SessionView, approval: Approval): Obstacle {
  const { email, roles } = session.person;
  if (!roles.includes('approver') && !answersFor(session, approval))
    return `Only approvers and ${approval.owner} (the owner) can approve this.`;
  const wantIt = [approval.requestedBy, approval.onBehalfOf, approval.delegated?.user ?? null];
  if (wantIt.some((declared) => isNamed(declared, email)))
    return 'This was asked for by you or is done for you, so somebody else has to approve it.';
  return null;
}

export function mayDeny(session: SessionView, approval: Approval): Obstacle {
  const { roles } = session.person;
  if (roles.some((role) => role === 'approver' || role === 'security' || role === 'admin')) return null;
  if (answersFor(session, approval)) return null;
  return `Only ${approval.owner} (the owner), approvers, security and admins can deny this.`;
}

const answersFor = ({ person: { email, roles } }: SessionView, { owner }: Approval): boolean =>
  owner === email && (roles.includes('owner') || roles.includes('developer'));

const isNamed = (declared: string | null, email: string): boolean =>
  declared !== null && declared.toLowerCase().replace(/^person:/, '') === email.toLowerCase();
