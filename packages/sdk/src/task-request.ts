import type { TaskParameters } from '@gatehouse/protocol';
import { cacheKey } from './token-cache.ts';

/** As in the protocol, which is not loaded for it: a token that is in the cache is printed without. */
export const TASK_DETAILS_TYPE = 'urn:gatehouse:task';

/** What a task is started with; all of it is declared by the agent, recorded, and grants nothing by itself. */
export interface TaskRequest {
  template: string;
  parameters?: TaskParameters;
  intent: string;
  onBehalfOf?: string;
  requestedBy?: string;
  ticket?: string;
  changeRequest?: string;
  model?: { provider: string; name: string };
  /** The standing delegation of the person for whom it acts. The one member that is verified, and counts. */
  delegation?: string;
  /** Narrows the task to these tools (`server/tool`, `server/*`) of what its template allows. */
  tools?: string[];
}

/** RFC 9396 details, as they are sent and as tasks are told apart in a cache. */
export function taskDetailsOf(task: TaskRequest): object {
  return {
    type: TASK_DETAILS_TYPE,
    template: task.template,
    parameters: task.parameters ?? {},
    intent: task.intent,
    on_behalf_of: task.onBehalfOf,
    requested_by: task.requestedBy,
    ticket: task.ticket,
    change_request: task.changeRequest,
    model_provider: task.model?.provider,
    model: task.model?.name,
    delegation: task.delegation,
    tools: task.tools,
  };
}

/** The entry of a task in a token cache: whatever its tokens are for, and whatever they are bound to. */
export function taskKey(of: {
  url: string;
  agent: string;
  bearerOnly: boolean;
  /** Thumbprints, where the caller has a proof key or a certificate of its own. */
  proofKey: string | null;
  certificate: string | null;
  details: object;
}): string {
  return cacheKey(of);
}
