import type { RecordedSituation } from '@gatehouse/protocol';
import { type Provenance, type Situation, unknownSituation } from './situation.ts';

/**
 * The situation as a record has it: only what differs from knowing nothing, so that most records have none at all. Which calendars were
 * open follows from its time.
 */
export function toRecordedSituation(situation: Situation): RecordedSituation | undefined {
  const { address, ticket, changeRequest, firstUse, deviations, flow } = situation;
  const recorded: RecordedSituation = {
    ...(address !== null && { address }),
    ...(ticket && { ticket: { id: ticket.id, state: ticket.state } }),
    ...(changeRequest && { changeRequest: { id: changeRequest.id, state: changeRequest.state } }),
    ...(firstUse && { firstUse: true }),
    ...(deviations.length > 0 && { deviations: deviations.map(({ kind, words }) => ({ kind, words })) }),
    ...(flow.untrusted && { untrusted: true }),
    ...(flow.sensitive.length > 0 && { sensitive: [...flow.sensitive] }),
    ...(flow.untrusted && flow.sensitive.length > 0 && flow.textless && { textless: true }),
    ...(flow.untrusted && flow.sensitive.length > 0 && flow.reachesNobody && { reachesNobody: true }),
    ...(Object.keys(flow.provenance).length > 0 && { provenance: { ...flow.provenance } }),
  };
  return Object.keys(recorded).length > 0 ? recorded : undefined;
}

/** `roles`: of the tool as it is now; an argument of which the record says nothing came from nowhere known. */
export function fromRecordedSituation(
  recorded: RecordedSituation | undefined,
  now: number,
  calendars: readonly string[],
  roles: Readonly<Record<string, unknown>>,
): Situation {
  const unknown = unknownSituation(now, roles);
  if (!recorded) return { ...unknown, calendars };
  const provenance = { ...unknown.flow.provenance, ...recorded.provenance } as Record<string, Provenance>;
  return {
    now,
    calendars,
    address: recorded.address ?? null,
    ticket: recorded.ticket ?? null,
    changeRequest: recorded.changeRequest ?? null,
    firstUse: recorded.firstUse ?? false,
    deviations: recorded.deviations ?? [],
    flow: {
      untrusted: recorded.untrusted ?? false,
      sensitive: recorded.sensitive ?? [],
      textless: recorded.textless ?? false,
      reachesNobody: recorded.reachesNobody ?? false,
      provenance,
    },
  };
}
