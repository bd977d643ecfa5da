import type { Approval, Decision, GatewaySetting } from '@gatehouse/protocol';
import type { AskingGateway, Enforcement, Sent } from '../../enforcement/index.ts';
import type { Caller, ProvenGateway } from '../../identity/index.ts';
import type { Json, TraceContext } from '../../platform/index.ts';

/**
 * Decisions for calls that are made elsewhere: a gateway that is not Gatehouse asks, and makes the call itself. Each is an action through
 * the choke point like any other; all that it "sends" is the permission. This module knows no wire format.
 */
export interface Gateway extends AskingGateway {
  setting: GatewaySetting;
  /** The trace that its request is part of. */
  trace?: TraceContext | undefined;
}

export interface AskedCall {
  /** `tools/call`, `resources/read` … */
  operation: string;
  server: string;
  name: string;
  arguments: Json;
}

export type Verdict =
  | { kind: 'allowed'; actionId: string }
  | { kind: 'refused'; actionId: string; decision: Pick<Decision, 'code' | 'reason' | 'policies' | 'tier'> }
  | { kind: 'waiting'; actionId: string; approval: Approval };

export function gatewayOf({ workload, gateway, guards }: ProvenGateway): Gateway {
  const { name, spiffeId, manifest } = workload;
  return { name, spiffeId, environment: manifest.environment, servers: gateway.servers, guards, setting: gateway };
}

/** Law 1: decided, and the dispatch durable, before anybody hears that the call may be made. */
export async function askAbout(
  enforcement: Pick<Enforcement, 'enforce'>,
  gateway: Gateway,
  caller: Caller,
  call: AskedCall,
): Promise<Verdict> {
  const permission: Sent = {
    result: 'unknown',
    body: null,
    detail: `Done at the gateway "${gateway.name}", which has reported no outcome.`,
  };
  const outcome = await enforcement.enforce({ caller, ...call, gateway, trace: gateway.trace }, async () => permission);
  const { actionId } = outcome;
  switch (outcome.kind) {
    case 'refused':
      return { kind: 'refused', actionId, decision: outcome.decision };
    case 'pending':
      return { kind: 'waiting', actionId, approval: outcome.approval };
    case 'done':
      if (outcome.sent.result === 'unknown') return { kind: 'allowed', actionId };
      return stopped(actionId, outcome.sent.detail);
    case 'unknown':
    case 'withheld':
    case 'gone':
      return stopped(actionId, outcome.detail);
  }
}

/** Dispatched, and then ended before the answer was given: the gateway is not told that it may. */
const stopped = (actionId: string, detail = 'it was ended'): Verdict => ({
  kind: 'refused',
  actionId,
  decision: { code: 'action.ended', reason: `The call may not be made any more: ${detail}.`, policies: [], tier: 4 },
});
