import { type Situation, unknownSituation } from '../policy/index.ts';
import type { RegisteredTool } from '../registry/index.ts';
import type { Action } from './types.ts';

/** What is known around an action, for policies to look at. */
export function situationOf(_action: Action, tool: RegisteredTool, now: number): Situation {
  return unknownSituation(now, tool.labels.roles);
}
