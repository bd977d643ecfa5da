import type { Approval, Decision } from '@gatehouse/protocol';
import type { ApprovalSubject, Approvals } from '../approvals/index.ts';
import { GatehouseError, type Json } from '../platform/index.ts';
import type { Agent, RegisteredTool } from '../registry/index.ts';
import type { HeldResults, Kept, Size } from './results/index.ts';
import { askedBy, delegatedOf, toolNameOf } from './subject.ts';
import type { Action } from './types.ts';

/** As approvals of a release name it. */
export const RELEASE = 'results/release';

/** Which call a result belongs to: repeated by the same agent in the same task, it gets what it left and does not run again. */
const callOf = ({ caller, operation, server, name, arguments: args }: Action): Json => ({
  agent: caller.agent,
  agentEpoch: caller.agentEpoch,
  task: caller.task.id,
  operation,
  server,
  name,
  arguments: args,
});

export type Releases = ReturnType<typeof createReleases>;

/** Results that wait for a person, and the approvals that release them: one for exactly this result, like any other. */
export function createReleases({ held, approvals }: { held: HeldResults; approvals: Approvals }) {
  const subjectOf = (
    action: Action,
    tool: RegisteredTool,
    kept: Kept,
    { policyVersion, obligations }: Decision,
  ): ApprovalSubject => ({
    agent: action.caller.agent,
    agentEpoch: action.caller.agentEpoch,
    task: action.caller.task.id,
    operation: RELEASE,
    tool: toolNameOf(action, tool),
    toolDefinition: tool.digest ?? '',
    arguments: {
      result: {
        id: kept.id,
        digest: kept.digest,
        bytes: kept.bytes,
        items: kept.items,
        labels: kept.labels,
        reason: kept.reason,
      },
      call: { operation: action.operation, name: action.name, arguments: action.arguments },
    },
    policyVersion,
    delegated: delegatedOf(action.caller),
    rules: approvals.rulesNamed(obligations?.approvers),
  });

  /** The open question whether this result may be released, asked anew where policies have changed since. */
  async function ask(
    agent: Agent,
    action: Action,
    tool: RegisteredTool,
    kept: Kept,
    decision: Decision,
  ): Promise<Approval> {
    const subject = subjectOf(action, tool, kept, decision);
    const known = approvals.find(subject);
    if (known) return known;
    const approval = await approvals.open({
      subject,
      actionId: kept.actionId,
      ...askedBy(agent, action),
      decision: {
        effect: 'needs-approval',
        tier: 3,
        code: 'result.held',
        reason: `${kept.reason} It is held until a person releases it; the call has run.`,
        policies: decision.policies,
        policyVersion: decision.policyVersion,
      },
    });
    await held.askedBy(kept.id, approval);
    return approval;
  }

  return {
    ask,
    /** Whether this task has anything that waits, whatever would be held today. From memory. */
    areIn: ({ caller }: Action) => approvals.isOpenIn({ task: caller.task.id, operation: RELEASE }),
    find: (action: Action) => held.find(callOf(action)),
    open: (kept: Kept) => held.open(kept),
    remove: (kept: Kept) => held.remove(kept.id),

    /** Keeps a result back. Throws a GatehouseError below 500 when nobody will be asked: then it is gone. */
    async hold(
      agent: Agent,
      action: Action,
      tool: RegisteredTool,
      decision: Decision,
      result: { actionId: string; body: Json; labels: string[]; reason: string; size: Size },
    ): Promise<Approval> {
      const { caller } = action;
      const kept = await held.keep({
        call: callOf(action),
        agent: caller.agent,
        task: caller.task.id,
        tool: tool.ref,
        ...result,
      });
      try {
        return await ask(agent, action, tool, kept, decision);
      } catch (error) {
        await held.remove(kept.id);
        throw error;
      }
    },
  };
}

/** Why nobody will be asked, if that is what an error says. */
export const refusalIn = (error: unknown): GatehouseError | undefined =>
  error instanceof GatehouseError && error.status < 500 ? error : undefined;
