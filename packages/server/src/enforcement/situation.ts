import type { Decision } from '@gatehouse/protocol';
import {
  type FlowView,
  openCalendars,
  type Situation,
  toRecordedSituation,
  unknownSituation,
} from '../policy/index.ts';
import type { Snapshot } from '../registry/index.ts';
import type { Tickets } from './tickets.ts';
import type { Action } from './types.ts';

/** What is known around an action, for policies to look at. From memory, unless a ticket has to be asked about. */
export async function situationOf(
  { tickets }: { tickets: Tickets },
  snapshot: Pick<Snapshot, 'calendars' | 'ticketSystems'>,
  { caller }: Action,
  flow: FlowView,
  now: number,
): Promise<Situation> {
  const { ticket, changeRequest } = caller.task;
  const followed = (id: string | null) => (id === null ? null : tickets.look(snapshot, id, caller.agent));
  return {
    ...unknownSituation(now),
    flow,
    calendars: openCalendars(snapshot.calendars, now),
    address: caller.address ?? null,
    ticket: await followed(ticket),
    changeRequest: await followed(changeRequest),
  };
}

/** A decision goes on record with what it was made on, so that it can be made again. */
export function withSituation(decision: Decision, situation: Situation): Decision {
  const recorded = toRecordedSituation(situation);
  return recorded ? { ...decision, situation: recorded } : decision;
}
