import type { AgentManifest, Lifecycle } from '@gatehouse/protocol';
import { newKeys } from './keeper.ts';

const forward: Lifecycle[] = ['draft', 'active', 'suspended', 'retired'];

/**
 * What an apply makes of an agent that exists. A manifest can add keys and move the agent forward in its life; it can't take enrolled
 * keys away, reactivate what a person or a kill has stopped, or bring a retired agent back: each of those is an explicit act,
 * and a repository that is applied every hour must not undo a kill.
 */
export function mergeAgent(before: AgentManifest, wanted: AgentManifest): { after: AgentManifest; note?: string } {
  if (before.state === 'retired') {
    return wanted.state === 'retired'
      ? { after: before }
      : {
          after: before,
          note: 'It is retired, and stays as it is. A retired name is not used again: take another one.',
        };
  }
  const isBackward = forward.indexOf(wanted.state) < forward.indexOf(before.state);
  const after: AgentManifest = {
    ...wanted,
    keys: [...before.keys, ...newKeys(before.keys, wanted.keys)],
    state: isBackward ? before.state : wanted.state,
  };
  if (!isBackward) return { after };
  const note =
    before.state === 'suspended'
      ? 'It stays suspended: an apply does not reactivate an agent. Set its state to active as an act of its own.'
      : `It stays ${before.state}: an apply does not take it back to ${wanted.state}.`;
  return { after, note };
}

export interface AgentEffects {
  /** Tokens and dispatches decided before are refused. */
  raisesEpoch: boolean;
  raisesFence: boolean;
  /** Running tasks belong to what the agent was. */
  endsTasks: boolean;
}

const epochMembers = ['keys', 'state', 'environment', 'bearerOnly', 'certificateBound'] as const;
const fenceMembers = [...epochMembers, 'owner', 'blueprint', 'risk', 'delegatesTo'] as const;

export function effectsOf(before: AgentManifest, after: AgentManifest): AgentEffects {
  const differs = (member: keyof AgentManifest) => JSON.stringify(before[member]) !== JSON.stringify(after[member]);
  return {
    raisesEpoch: epochMembers.some(differs),
    raisesFence: fenceMembers.some(differs),
    endsTasks: differs('environment') || (differs('state') && after.state === 'retired'),
  };
}
