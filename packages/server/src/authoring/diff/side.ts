import type { Manifest, StandIns, SupposedAnswer, SupposedCall, ToolDefinitions } from '@gatehouse/protocol';
import { GatehouseError } from '../../platform/index.ts';
import {
  compilePolicies,
  type LoadedPolicy,
  type PolicySet,
  readPolicies,
  type Subject,
  subjectsIn,
} from '../../policy/index.ts';
import { checkPolicies } from '../check.ts';
import { withStandIns } from '../stand-ins.ts';
import { decideSupposed, suppose } from '../suppose.ts';
import { type Authored, authoredFrom } from '../workspace.ts';

/** One of two sets of all that decides. */
export interface Given {
  manifests: readonly Manifest[];
  definitions: ToolDefinitions;
  /** What only its tests speak of. */
  standIns?: StandIns;
}

export interface Side {
  given: Given;
  workspace: Authored;
  set: PolicySet;
  policies: ReadonlyMap<string, LoadedPolicy>;
  subjects: ReadonlyMap<string, Subject>;
}

/** Throws `policy.invalid` where it would not load. `validated`: that its policies fit the tools is known. */
export function sideOf(given: Given, { validated = false } = {}): Side {
  const { manifests, definitions } = withStandIns(
    given.manifests,
    given.definitions,
    given.standIns ?? { tools: {}, templates: {} },
  );
  const workspace = authoredFrom(manifests, definitions);
  const [problem] = validated ? [] : checkPolicies(workspace);
  if (problem) {
    const { kind, name, place, path, message, help } = problem;
    const where = place ? `line ${place.line}, column ${place.column}` : path;
    const words = [message, help].filter(Boolean).join('; ');
    throw new GatehouseError('bad-request', 'policy.invalid', `${kind} ${name}, ${where}: ${words}`);
  }
  const subjects = subjectsIn(workspace);
  const { policies } = readPolicies(workspace, subjects, { validated: true });
  return { given, workspace, set: compilePolicies(workspace, { validated: true }), policies, subjects };
}

/** Of all calls that say no time: a Thursday at noon, as in tests. */
export const NOW = Date.UTC(2026, 0, 15, 12);

/** What the choke point would answer; what does not exist is refused. */
export function answerOf(
  { workspace, set }: Side,
  call: SupposedCall,
  how: { anyArguments?: boolean } = {},
): SupposedAnswer {
  try {
    const supposed = suppose(workspace, call, NOW, how);
    const { effect, tier, code, reason, policies, obligations } = decideSupposed(set, supposed);
    return { decision: effect, tier, code, reason, policies: [...policies], ...(obligations && { obligations }) };
  } catch (error) {
    if (!(error instanceof GatehouseError) || error.kind !== 'bad-request') throw error;
    return { decision: 'deny', tier: 4, code: error.code, reason: error.message, policies: [] };
  }
}

/** False: whatever its arguments are, and whatever is known around it, this call is refused. */
export function mayEver({ workspace, set }: Side, call: SupposedCall): boolean {
  try {
    const supposed = suppose(workspace, call, NOW, { anyArguments: true });
    return 'request' in supposed && set.mayEverUse(supposed.request, supposed.request.tool);
  } catch (error) {
    if (!(error instanceof GatehouseError) || error.kind !== 'bad-request') throw error;
    return false;
  }
}
