import type { Deviation } from '@gatehouse/protocol';
import { CedarSet, Datetime, LazyRecord, type Member, parseIp, type Value } from './cedar/index.ts';

/**
 * Where the value of an argument came from: what the task was told by somebody who vouches for it, a result (or part of one) that is
 * trusted, a value that a person has endorsed, what the task has made or worked out itself of such, a result that is not trusted, or
 * nowhere known.
 */
export const provenances = ['stated', 'trusted', 'endorsed', 'derived', 'untrusted', 'unknown'] as const;
export type Provenance = (typeof provenances)[number];

/** What a task has seen, and where the arguments of this call came from: by argument, for those that have a role. */
export interface FlowView {
  untrusted: boolean;
  sensitive: readonly string[];
  /** No argument of the call could carry a text, and the task has written none since it has read sensitive data. */
  textless: boolean;
  /** It leaves out every destination that its tool takes, and an operator says that it then goes to nobody new. */
  reachesNobody: boolean;
  provenance: Readonly<Record<string, Provenance>>;
}

/** Something that is followed up elsewhere, with its state there. */
export interface Followed {
  id: string;
  state: string;
}

/** What is known around a call, beside who asks and with which arguments. */
export interface Situation {
  /** Milliseconds since the epoch. */
  now: number;
  /** Declared calendars that are open now. */
  calendars: readonly string[];
  /** Where the call came from, if that is known. */
  address: string | null;
  ticket: Followed | null;
  changeRequest: Followed | null;
  /** No call of this tool by this agent has counted yet. */
  firstUse: boolean;
  /** In what the call differs from what its agent usually does. */
  deviations: readonly Deviation[];
  flow: FlowView;
}

/** Nothing is known: no calendar is open, nothing was seen, and whatever has a role comes from nowhere known. */
export function unknownSituation(now: number, roles: Readonly<Record<string, unknown>> = {}): Situation {
  return {
    now,
    calendars: [],
    address: null,
    ticket: null,
    changeRequest: null,
    firstUse: false,
    deviations: [],
    flow: {
      untrusted: false,
      sensitive: [],
      textless: false,
      reachesNobody: false,
      provenance: Object.fromEntries(Object.keys(roles).map((argument) => [argument, 'unknown' as const])),
    },
  };
}

const followed = ({ id, state }: Followed): Value =>
  new Map([
    ['id', id],
    ['state', state],
  ]);

const flowMembers = new Map<string, Member<FlowView>>([
  ['untrusted', ({ untrusted }) => untrusted],
  ['sensitive', ({ sensitive }) => new CedarSet(sensitive)],
  ['textless', ({ textless }) => textless],
  ['reachesNobody', ({ reachesNobody }) => reachesNobody],
]);

const provenanceMembers = new Map<string, Member<FlowView>>(
  provenances.map((wanted) => [
    wanted,
    ({ provenance }) => {
      const from: string[] = [];
      for (const argument of Object.keys(provenance)) if (provenance[argument] === wanted) from.push(argument);
      return new CedarSet(from);
    },
  ]),
);

/** As policies see it, each made when one looks at it. */
export const situationMembers: Readonly<Record<string, Member<Situation>>> = {
  now: ({ now }) => new Datetime(now),
  calendars: ({ calendars }) => new CedarSet(calendars),
  address: ({ address }) => (address === null ? undefined : parseIp(address)),
  ticket: ({ ticket }) => (ticket ? followed(ticket) : undefined),
  changeRequest: ({ changeRequest }) => (changeRequest ? followed(changeRequest) : undefined),
  firstUse: ({ firstUse }) => firstUse,
  anomalous: ({ deviations }) => deviations.length > 0,
  deviations: ({ deviations }) => new CedarSet([...new Set(deviations.map(({ kind }) => kind))]),
  flow: ({ flow }) => new LazyRecord(flow, flowMembers),
  provenance: ({ flow }) => new LazyRecord(flow, provenanceMembers),
};
