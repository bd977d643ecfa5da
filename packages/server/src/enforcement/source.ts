import type { Decision, DetectorManifest, Obligations } from '@gatehouse/protocol';
import { GatehouseError, type Json } from '../platform/index.ts';
import {
  type Authority,
  combineObligations,
  mostCareful,
  type PolicySet,
  SENSITIVE,
  UNTRUSTED,
} from '../policy/index.ts';
import type { RegisteredServer, RegisteredTool, Snapshot } from '../registry/index.ts';
import { findSubject, isRefusal, labelsOfAny } from './subject.ts';
import type { Action, EarlierCall } from './types.ts';
import type { Reason } from './who.ts';

/** Whose data an action brings to the agent: by this it is labelled, masked, limited and held. */
export interface Source {
  tool: RegisteredTool;
  /** Of the call that brings it about. */
  arguments: Json;
  obligations: Obligations | undefined;
}

/** Operations that give out what a server has without a call of one of its tools. */
const withoutTool = new Set(['resources/read', 'prompts/get', 'completion/complete', 'tasks/list', 'tasks/cancel']);

/**
 * INVARIANT: a result has the labels, masks and limits of the tool that made it, by whatever way it comes. What an earlier call made (the
 * result of an MCP task, what a server asks in its middle) is given out only where that call would be permitted now, with the masks of
 * then and of now. What comes without a call of a tool is masked as whatever this task may call there.
 */
export function sourceOf(
  asked: Asked,
  redecide: Redecide,
): Source | { refused: Reason } | Promise<Source | { refused: Reason }> {
  const { action, found, decision } = asked;
  const own = { tool: found, arguments: action.arguments, obligations: decision.obligations };
  if (action.of) return sourceOfEarlier(asked, action.of, own, redecide);
  if (!withoutTool.has(action.operation)) return own;
  return { ...own, obligations: withMasks(own.obligations, anyMask(asked)) };
}

async function sourceOfEarlier(
  { snapshot, set, authority, action, decision }: Asked,
  of: EarlierCall,
  own: Source,
  redecide: Redecide,
): Promise<Source | { refused: Reason }> {
  const { caller, server } = action;
  const original: Action = { caller, operation: of.operation, server, name: of.name, arguments: of.arguments };
  const tool = findSubject(snapshot, original);
  const now = isRefusal(tool) ? tool : await redecide(original, tool);
  if (isRefusal(tool) || !('effect' in now) || now.effect === 'deny') {
    // What stops a task is not refused: it brings no more than a word about its end.
    if (action.operation !== 'tasks/cancel') return { refused: { code: now.code, reason: now.reason } };
    return { ...own, obligations: withMasks(of.obligations, anyMask({ snapshot, set, authority, action })) };
  }
  const { mask = [], limit = null } = decision.obligations ?? {};
  // How it comes takes nothing away from what the call itself reveals.
  const way: Obligations = { mask, limit, reveal: of.obligations?.reveal ?? [] };
  return { tool, arguments: of.arguments, obligations: combineObligations([of.obligations, now.obligations, way]) };
}

interface Asked {
  snapshot: Snapshot;
  set: PolicySet;
  authority: Authority;
  action: Action;
  found: RegisteredTool;
  decision: Decision;
}

/** Decides anew on a call that was let through. */
type Redecide = (action: Action, tool: RegisteredTool) => Promise<Decision>;

/** With what somebody has found in it: more labels, and never fewer. Nobody knows where in it that is, so that it holds for all of it. */
export function raised(
  source: Source,
  { isUntrusted, sensitive }: { isUntrusted: boolean; sensitive: readonly string[] },
): Source {
  if (!isUntrusted && sensitive.length === 0) return source;
  const { tool } = source;
  const { returns } = tool.labels;
  const careful = mostCareful(returns);
  const trust = isUntrusted || !careful.isTrusted ? 'untrusted' : 'trusted';
  const kinds = [...new Set([...careful.sensitive, ...sensitive])];
  // What a field stands for stays: without its role it would vouch for a value of any.
  const fields = Object.fromEntries(
    Object.entries(returns.fields).map(([path, field]) => [path, { ...field, trust, sensitive: kinds } as const]),
  );
  return { ...source, tool: { ...tool, labels: { ...tool.labels, returns: { trust, sensitive: kinds, fields } } } };
}

/** What a server says without waiting for those who look at results: throws where one of them has to. */
export function unlooked(source: Source, detectors: readonly DetectorManifest[]): Source {
  const required = detectors.find((each) => each.required);
  if (required)
    throw new GatehouseError(
      'forbidden',
      'detector.required',
      `The detector "${required.name}" has to look at what ${source.tool.ref} brings, so that nothing of it is passed on ahead of the result.`,
    );
  return detectors.length === 0 ? source : raised(source, { isUntrusted: true, sensitive: [] });
}

/** What the labels of a result that was held say of it. */
export const raisedBy = (labels: readonly string[]) => ({
  isUntrusted: labels.includes(UNTRUSTED),
  sensitive: labels.filter((label) => label.startsWith(SENSITIVE)).map((label) => label.slice(SENSITIVE.length)),
});

export const labelsOfRaised = ({ isUntrusted, sensitive }: { isUntrusted: boolean; sensitive: readonly string[] }) => [
  ...(isUntrusted ? [UNTRUSTED] : []),
  ...sensitive.map((kind) => `${SENSITIVE}${kind}`),
];

/** Of what a server says outside of any call, or of one that was let through earlier: nobody is asked, so that everything counts. */
export function sourceOfMessage(
  snapshot: Snapshot,
  set: PolicySet,
  authority: Authority,
  server: RegisteredServer,
  of: EarlierCall | undefined,
): Source {
  const tool = of?.operation === 'tools/call' ? server.tools.get(of.name) : undefined;
  const masks = tool
    ? set.everyMask(authority, [tool])
    : anyMask({ snapshot, set, authority, action: { server: server.name } });
  return {
    tool: tool ?? { ...messagesOf, ref: `${server.name}#messages`, server: server.name, labels: labelsOfAny(server) },
    arguments: of?.arguments ?? {},
    obligations: withMasks(of?.obligations, masks),
  };
}

const messagesOf: Omit<RegisteredTool, 'ref' | 'server' | 'labels'> = {
  name: '#messages',
  tier: 1,
  effects: ['read'],
  resourceArgument: null,
  state: 'approved',
  digest: null,
  definition: null,
};

const anyMask = ({
  snapshot,
  set,
  authority,
  action,
}: Pick<Asked, 'snapshot' | 'set' | 'authority'> & { action: Pick<Action, 'server'> }) =>
  set.everyMask(authority, snapshot.servers.get(action.server)?.tools.values() ?? []);

/** With these masks as well. Nothing is revealed where nobody has asked for it. */
function withMasks(obligations: Obligations | undefined, masks: readonly string[]): Obligations {
  const { mask = [], limit = null } = obligations ?? {};
  return { mask: [...new Set([...mask, ...masks])].sort(), limit };
}
