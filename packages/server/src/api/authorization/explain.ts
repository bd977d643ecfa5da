import { type Role, role } from '@gatehouse/protocol';
import { GatehouseError } from '../../platform/index.ts';
import { type ActionGroup, controlActions } from './actions.ts';
import { type ControlDecision, type ControlPolicies, type ControlRequest, ownedBy } from './control-policies.ts';

/** Roles of which one would be enough for this route: on anything, or on what the person owns. */
export function rolesThatMay(
  policies: ControlPolicies,
  route: string,
  group: ActionGroup,
): { anywhere: Role[]; onOwn: Role[] } {
  const asks = (one: Role, owner: string) =>
    policies.decide({
      principal: { type: 'person', email: 'somebody', roles: [one], groups: [] },
      route,
      resource: ownedBy(controlActions[group].resource, owner),
      via: 'passkey',
      restricted: false,
    }).allowed;
  const anywhere = role.options.filter((one) => asks(one, 'somebody-else'));
  return { anywhere, onOwn: role.options.filter((one) => !anywhere.includes(one) && asks(one, 'somebody')) };
}

/** A refusal that says what is missing: a role, ownership, or the policy of the workspace that forbids it. */
export function refusal(
  policies: ControlPolicies,
  request: ControlRequest,
  group: ActionGroup,
  decision: ControlDecision,
  caller: { displayName: string; roles: readonly Role[] },
): GatehouseError {
  if (decision.policies.length > 0) {
    const why = decision.reasons.length > 0 ? ` ${decision.reasons.join(' ')}` : '';
    // Those of a workspace are called MANIFEST#ID; nobody can lift what comes with Gatehouse.
    const next = decision.policies.some((policy) => policy.includes('#')) ? ' Ask an admin if it should not.' : '';
    return forbidden(
      'control-policy.forbidden',
      `The policy ${decision.policies.join(', ')} forbids this.${why}${next}`,
    );
  }
  const { anywhere, onOwn } = rolesThatMay(policies, request.route, group);
  const { resource } = request;
  if (onOwn.some((one) => caller.roles.includes(one)) && (resource.type === 'Agent' || resource.type === 'Approval')) {
    const others = anywhere.length > 0 ? `, or somebody with the role ${anywhere.join(' or ')},` : '';
    return resource.type === 'Agent'
      ? forbidden(
          'agent.not-owner',
          `Only the owner of ${resource.name} (${resource.owner})${others} may ${controlActions[group].words}. Ask one of them.`,
        )
      : forbidden(
          'approval.not-approver',
          `Only the agent's owner (${resource.owner})${others} can decide this. Ask one of them.`,
        );
  }
  const needed = [...anywhere, ...onOwn.map((one) => `${one} (of what they own)`)].join(', ') || 'none that there is';
  return forbidden(
    'role.missing',
    `This needs one of the roles ${needed}; ${caller.displayName} has ${caller.roles.join(', ') || 'none'}. Ask an admin.`,
  );
}

const forbidden = (code: string, detail: string) => new GatehouseError('forbidden', code, detail);
