import type { AgentSide } from '../agent-side.ts';
import type { Whose } from './types.ts';

/** The client of a task, which hears of the call by the task alone, and does not end it by leaving. */
export function behind(
  agent: AgentSide,
  awaitApproval: AgentSide['awaitApproval'],
  signal = new AbortController().signal,
): AgentSide {
  const { endRound: _, takesTask: __, ...side } = agent.later?.() ?? agent;
  return {
    ...side,
    progressToken: undefined,
    logLevel: null,
    signal,
    notify: () => undefined,
    awaitApproval,
  };
}

export const whoseOf = ({ caller, view, era }: AgentSide): Whose => ({ caller, view: view.server, era });

export const byOf = ({ caller }: AgentSide): string => caller.actorChain[0]?.sub ?? `agent:${caller.agent}`;
