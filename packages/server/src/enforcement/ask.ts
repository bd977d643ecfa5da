import type { Approval, Decision } from '@gatehouse/protocol';
import {
  type ApprovalSubject,
  type Approvals,
  type HeldBreakGlass,
  type HeldGrant,
  sameAction,
} from '../approvals/index.ts';
import { GatehouseError, type Json, newSalt } from '../platform/index.ts';
import type { SeenView } from '../policy/index.ts';
import { deny } from './deny.ts';
import { originsOf } from './explain-flow.ts';
import { operationOf } from './gateway.ts';
import { RELEASE } from './release.ts';
import type { Requests } from './requests.ts';
import { askedBy, delegatedOf, toolNameOf } from './subject.ts';
import type { Decided } from './types.ts';

/** Nobody will be asked; the decision says why. */
interface Refused {
  refused: Decision;
  actionId: string;
}

/** A person has let it run already, with others like it. */
interface Granted {
  granted: HeldGrant;
}

/** Two people have let it run, in an emergency. */
interface Broken {
  broken: HeldBreakGlass;
}

/** What was to let it run does not any more. */
interface Gone {
  superseded: boolean;
  detail: string;
}

/** Step 5: a person is asked about exactly this action, once it is on record. */
export function createAsking({ approvals, requests }: { approvals: Approvals; requests: Requests }) {
  const asking = new Map<string, Promise<Approval | Refused>>();

  async function open(decided: Decided, subject: ApprovalSubject, seen: SeenView): Promise<Approval | Refused> {
    const { agent, action, actionId, tool, decision } = decided;
    const argumentsSalt = newSalt();
    await requests.record(action, actionId, tool, { decision, labels: seen.labels, argumentsSalt });
    try {
      return await approvals.open({
        subject: { ...subject, argumentsSalt },
        actionId,
        ...askedBy(agent, action),
        decision,
        origins: originsOf(seen, tool),
      });
    } catch (error) {
      if (!(error instanceof GatehouseError) || error.status >= 500) throw error;
      // Nobody will be asked, so that the action does not wait: it is refused, and the record says so.
      const refused = deny({ code: error.code, reason: error.message }, decision.policyVersion, tool);
      await requests.refuse(action, actionId, tool, refused);
      return { refused, actionId };
    }
  }

  /** An approval that is open lets exactly its own action run: where that is another by now, it never will. */
  async function gone(under: string, action?: string): Promise<Gone> {
    const of = await approvals.get(under);
    const isOpen = (of?.state === 'pending' || of?.state === 'approved') && of.operation !== RELEASE;
    const asked = isOpen && { ...of, arguments: of.arguments as Json, policyVersion: of.decision.policyVersion };
    const superseded = asked !== false && sameAction(asked) !== action;
    return {
      superseded,
      detail: superseded ? 'What people were asked about has changed since.' : 'It was let through before.',
    };
  }

  async function ask(
    decided: Decided,
    seen: SeenView,
    full: ReadonlySet<string>,
    repeats?: string,
  ): Promise<Approval | Refused | Granted | Broken | Gone> {
    const { agent, action, tool, decision } = decided;
    const subject: ApprovalSubject = {
      agent: agent.name,
      agentEpoch: agent.epoch,
      task: action.caller.task.id,
      operation: operationOf(action),
      tool: toolNameOf(action, tool),
      toolDefinition: tool.digest ?? '',
      arguments: action.arguments,
      policyVersion: decision.policyVersion,
      delegated: delegatedOf(action.caller),
      rules: approvals.rulesNamed(decision.obligations?.approvers),
      ...(repeats !== undefined && { repeats }),
    };
    const given = approvals.find(subject);
    if (action.under !== undefined) return given?.id === action.under ? given : gone(action.under, sameAction(subject));
    if (given?.state === 'approved') return given;
    // Whoever granted more calls like one did not know that this one may have run.
    const granted = repeats === undefined && approvals.grants.find({ subject, decision, except: full });
    if (granted) return { granted };
    const broken = approvals.breakGlass.find({ subject, decision });
    if (broken) return { broken };
    const same = sameAction(subject);
    const known = given ?? asking.get(same);
    if (known) return known;
    // The same action twice at once is one question, and one record of it.
    const question = open(decided, subject, seen);
    asking.set(same, question);
    try {
      return await question;
    } finally {
      asking.delete(same);
    }
  }

  return { ask, gone };
}
