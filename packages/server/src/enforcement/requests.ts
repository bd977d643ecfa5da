import type { Decision } from '@gatehouse/protocol';
import type { Ledger } from '../ledger/index.ts';
import { GatehouseError } from '../platform/index.ts';
import type { RegisteredTool, Registry } from '../registry/index.ts';
import type { CircuitBreaker } from './breaker.ts';
import { recordOf } from './record.ts';
import type { Action, Outcome } from './types.ts';

export interface Requests {
  /** Throws when it can't be recorded: then the action is refused, and the caller hears that the house is not available. */
  record(action: Action, actionId: string, tool: RegisteredTool | null, more: Recorded): Promise<void>;
  refuse(action: Action, actionId: string, tool: RegisteredTool | null, decision: Decision): Promise<Outcome>;
}

interface Recorded {
  decision: Decision;
  labels?: string[];
  argumentsSalt?: string;
}

/** Step 4: what is not sent now is on record too, a refusal and a question alike. */
export function createRequests(deps: { ledger: Ledger; breaker: CircuitBreaker; registry: Registry }): Requests {
  const { ledger, breaker, registry } = deps;

  async function record(action: Action, actionId: string, tool: RegisteredTool | null, more: Recorded): Promise<void> {
    const entry = recordOf('request', action, actionId, tool, { ...more, arguments: action.arguments });
    const written = await ledger.append(entry);
    if (!written.ok)
      throw new GatehouseError(
        'unavailable',
        'ledger.refused',
        'The action could not be recorded, so it is refused. Try again.',
      );
  }

  return {
    record,
    async refuse(action, actionId, tool, decision) {
      await record(action, actionId, tool, { decision });
      breaker.refused(registry.snapshot(), action.caller.task, decision, tool);
      return { kind: 'refused', actionId, decision };
    },
  };
}
