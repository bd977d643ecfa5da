import { isDeepStrictEqual } from 'node:util';
import { ApprovalPending, GatehouseRefusal, stoppedError, stoppedResult } from '@gatehouse/sdk';
import type { Gate, Session } from './gate.ts';
import type { Step } from './judge.ts';
import { instructionFor } from './plant.ts';
import type { Call, Pair, Suite, UserTask } from './suite.ts';

/** What became of one call at the gate. */
export interface GateStep extends Step {
  /** `failed`: the tool itself said no. */
  outcome: 'ran' | 'waited' | 'refused' | 'failed';
  /** How many times a person was asked. */
  approvals: number;
  /** Of the decision that stopped it. */
  code: string | null;
  tier: number | null;
  rules: string[];
  reason: string | null;
  /** The agent got something else than the tool gave. */
  altered: boolean;
}

export interface Run {
  template: string;
  steps: GateStep[];
  state: Record<string, unknown>;
}

/** A user task as its ground truth does it; whoever is asked says yes. */
export function runBenign(gate: Gate, suite: Suite, user: UserTask): Promise<Run> {
  const calls = user.calls.map((call) => ({ ...call, origin: 'user' as const }));
  return run(gate, suite, user, calls, { approve: true });
}

/** A user task whose agent falls for an injection; nobody says yes to anything. */
export function runAttack(gate: Gate, suite: Suite, { user, injection, calls, taintedAt }: Pair): Promise<Run> {
  return run(gate, suite, user, calls, {
    approve: false,
    plant: { at: taintedAt, text: instructionFor(injection.goal) },
  });
}

async function run(
  gate: Gate,
  suite: Suite,
  user: UserTask,
  calls: readonly (Call & { origin: 'user' | 'inject' })[],
  how: { approve: boolean; plant?: { at: number; text: string } },
): Promise<Run> {
  gate.world.environment = structuredClone(suite.environment);
  const session = await gate.begin(user);
  const steps: GateStep[] = [];
  try {
    for (const [at, call] of calls.entries()) {
      gate.world.injected = how.plant?.at === at ? how.plant.text : null;
      steps.push(await step(gate, session, call, how.approve));
    }
  } finally {
    await session.end();
  }
  return { template: session.template, steps, state: gate.world.environment };
}

const MAX_APPROVALS = 5;
/** Values that one yes may endorse. */
const MAX_ENDORSED = 20;

async function step(
  gate: Gate,
  session: Session,
  call: Call & { origin: 'user' | 'inject' },
  approve: boolean,
): Promise<GateStep> {
  const before = gate.world.reached;
  const made: GateStep = {
    ...call,
    ran: false,
    outcome: 'ran',
    approvals: 0,
    code: null,
    tier: null,
    rules: [],
    reason: null,
    altered: false,
  };
  for (;;) {
    const result = await session.call(call.tool, call.args).catch((error: unknown) => {
      const stopped = stoppedError(error);
      if (!stopped) throw error;
      return stopped;
    });
    const stopped = result instanceof Error ? result : stoppedResult(result);
    made.ran = gate.world.reached > before;
    if (!stopped) {
      const { isError, structuredContent } = result as { isError?: boolean; structuredContent?: { result?: unknown } };
      made.outcome = isError ? 'failed' : 'ran';
      made.altered = !isError && !isDeepStrictEqual(structuredContent?.result, gate.world.answered);
      return made;
    }
    if (stopped instanceof GatehouseRefusal) {
      return { ...made, outcome: 'refused', code: stopped.code, reason: stopped.message };
    }
    if (!(stopped instanceof ApprovalPending)) throw stopped;
    const { decision, origins } = await gate.workspace.operator('GET /approvals/:id', {
      params: { id: stopped.approval },
    });
    Object.assign(made, {
      code: decision.code,
      tier: decision.tier,
      rules: decision.policies,
      reason: decision.reason,
    });
    if (!approve || made.approvals === MAX_APPROVALS) return { ...made, outcome: 'waited' };
    made.approvals++;
    // One look for the task: what was held about this call counts in later ones too.
    await gate.approver.approve(stopped.approval, origins.flatMap(({ held }) => held).slice(0, MAX_ENDORSED));
  }
}
