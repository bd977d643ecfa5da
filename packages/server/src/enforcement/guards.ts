import { fenceOfBreakGlass, fenceOfGrant, type HeldBreakGlass, type HeldGrant } from '../approvals/index.ts';
import type { RegisteredTool, Snapshot } from '../registry/index.ts';
import type { Guard } from '../storage/index.ts';
import type { Action } from './types.ts';

/** What the dispatch must still find in the database as it was decided on (law 1). A fence that was never raised is 0. */
export function guardsOf(
  snapshot: Snapshot,
  { caller, gateway }: Action,
  tool: RegisteredTool,
  source: RegisteredTool,
  /** Whose yes it runs on. */
  approvers: readonly string[] = [],
): Guard[] {
  const { task, chain } = caller;
  const keys = [
    `agent:${caller.agent}`,
    ...chain.map(({ agent }) => `agent:${agent}`),
    ...new Set([...(task.user === null ? [] : [task.user]), ...approvers].map((email) => `person:${email}`)),
    `server:${tool.server}`,
    ...new Set([`tool:${tool.ref}`, `tool:${source.ref}`]),
    'policy',
  ];
  const guards = [...keys.map((key) => ({ key, version: snapshot.fences.get(key) ?? 0 })), ...(gateway?.guards ?? [])];
  const tasks = [task, ...chain.map((link) => link.task)];
  return [
    ...guards,
    ...tasks.map(({ id, fence = 0 }) => ({ key: `task:${id}`, version: fence })),
    { key: `token:${caller.tokenId}`, version: 0 },
  ];
}

/** The grant that a call runs on has not been revoked. */
export const guardOfGrant = ({ id }: HeldGrant): Guard => ({ key: fenceOfGrant(id), version: 0 });

/** Nobody has ended the emergency that a call runs on. */
export const guardOfBreakGlass = ({ subject }: HeldBreakGlass): Guard => ({
  key: fenceOfBreakGlass(subject.id),
  version: 0,
});
