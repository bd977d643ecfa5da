import type { Decision } from '@gatehouse/protocol';
import {
  BASELINE_RULES,
  type Baseline,
  type FlowView,
  openCalendars,
  type Situation,
  toRecordedSituation,
  unknownSituation,
} from '../policy/index.ts';
import type { RegisteredTool, Snapshot } from '../registry/index.ts';
import type { Tickets } from './tickets.ts';
import type { Action } from './types.ts';

/** What is known around an action, for policies to look at. From memory, unless a ticket has to be asked about. */
export async function situationOf(
  { tickets, baseline }: { tickets: Tickets; baseline: Baseline },
  snapshot: Pick<Snapshot, 'calendars' | 'ticketSystems'>,
  { caller, operation, arguments: given }: Action,
  tool: RegisteredTool,
  flow: FlowView,
  now: number,
): Promise<Situation> {
  const { ticket, changeRequest } = caller.task;
  const followed = (id: string | null) => (id === null ? null : tickets.look(snapshot, id, caller.agent));
  const situation = {
    ...unknownSituation(now),
    flow,
    calendars: openCalendars(snapshot.calendars, now),
    address: caller.address ?? null,
    ticket: await followed(ticket),
    changeRequest: await followed(changeRequest),
  };
  if (!isUse(operation)) return situation;
  const { agent } = caller;
  for (let loading = baseline.ready(agent); loading; loading = baseline.ready(agent)) await loading;
  return { ...situation, ...baseline.look(agent, { tool, arguments: given }, now) };
}

/** What an agent does with a tool or with what a server keeps; not what it asks about it, or is asked. */
export const isUse = (operation: string): boolean =>
  operation === 'tools/call' || operation === 'resources/read' || operation === 'prompts/get';

/** A decision goes on record with what it was made on, so that it can be made again. */
export function withSituation(decision: Decision, situation: Situation): Decision {
  const recorded = toRecordedSituation(situation);
  return recorded ? { ...explainUnusual(decision, situation), situation: recorded } : decision;
}

/** Says of a call that waits because it is unusual in what it is. */
function explainUnusual(decision: Decision, { deviations }: Situation): Decision {
  if (!decision.policies.some((id) => id.startsWith(`${BASELINE_RULES}#`)) || decision.effect === 'deny')
    return decision;
  return {
    ...decision,
    reason: [decision.reason, 'Unusual for this agent:', ...deviations.map(({ words }) => words)].join(' ').trim(),
  };
}
