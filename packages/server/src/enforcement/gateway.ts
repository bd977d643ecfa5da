import type { Decision } from '@gatehouse/protocol';
import type { RegisteredTool } from '../registry/index.ts';
import type { Action } from './types.ts';
import type { Reason } from './who.ts';

/** Why this gateway may ask nothing about this action, if so: it speaks of what stands behind it, in its own environment. */
export function gatewayIsRefused({ gateway, caller, server }: Action): Reason | undefined {
  if (!gateway) return undefined;
  if (gateway.environment !== caller.task.environment)
    return {
      code: 'gateway.other-environment',
      reason: `The gateway "${gateway.name}" is of environment "${gateway.environment}", and the task of "${caller.task.environment}". Environments do not cross.`,
    };
  if (server === '')
    return {
      code: 'gateway.unmapped',
      reason: `Nothing that the gateway "${gateway.name}" stands for is called so. An operator maps its resources and actions to tools, under \`gateway.resources\`.`,
    };
  if (!gateway.servers.includes(server))
    return {
      code: 'gateway.not-its-server',
      reason: `The tool server "${server}" does not stand behind the gateway "${gateway.name}". An operator names those that do in its manifest, under \`gateway.servers\`.`,
    };
  return undefined;
}

/**
 * INVARIANT: what is decided on condition that something is done to the result is no yes where Gatehouse does not see the result: not masked,
 * not limited, not held.
 */
export function whatCannotBeKept(
  { gateway }: Action,
  tool: RegisteredTool,
  decision: Decision & { obligations?: { mask: readonly string[]; limit: number | null } },
): Reason | undefined {
  if (!gateway || decision.effect === 'deny') return undefined;
  const { mask = [], limit = null } = decision.obligations ?? {};
  const what = tool.labels.hold
    ? 'may be held until a person releases it'
    : mask.length > 0 || limit !== null
      ? 'must be masked or limited'
      : undefined;
  if (what === undefined) return undefined;
  return {
    code: 'gateway.cannot-keep',
    reason: `The result of ${tool.ref} ${what}, which only Gatehouse itself can do: call it through Gatehouse, and not at the gateway "${gateway.name}".`,
  };
}

/**
 * What an approval binds and its approver reads. INVARIANT: a yes to a call that one gateway makes is no yes to the same call through
 * Gatehouse or another gateway. Names have no space, so that this can be taken apart again.
 */
export function operationOf({ operation, gateway }: Pick<Action, 'operation' | 'gateway'>): string {
  return gateway ? `${operation} at gateway ${gateway.name}` : operation;
}
