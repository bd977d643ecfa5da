import type { ActionRecord, ReplayResult, Task } from '@gatehouse/protocol';
import { HAND_OUT } from '../../enforcement/index.ts';
import type { Json } from '../../platform/index.ts';
import { type Agent, agentFromRow, fromTaskRow } from '../../registry/index.ts';
import type { History, HistoryAfter, RecordedDecision } from '../../storage/index.ts';
import type { Decider, PastAction } from './decider.ts';
import { rehearsalLimits as limits } from './limits.ts';
import {
  type Compared,
  createCounter,
  createDifference,
  createExamples,
  createObserved,
  differenceOf,
  exampleOf,
} from './tally.ts';

export interface ReplayRange {
  since: number;
  until: number;
  /** Examples of each kind. */
  limit: number;
}

/** What policies, tools and arguments decide. All other codes are of another step: who may act, budgets, approvals nobody could be asked for. */
const DECIDED_BY_POLICY =
  /^(allowed|policy\.|tier\.|tool\.|server\.|operation\.|prompt\.|flow\.|arguments\.|task\.narrowed|delegation\.(chain|user)$)/;
/** The same of a credential that was asked for. */
const DECIDED_OF_HAND_OUT = /^(provider\.unknown|credential\.(not-direct|not-in-template|scope|too-long))$/;

/**
 * Decides recorded actions again, as the workspace decides now (`before`) and as it would (`after`), and counts what differs. Memory does
 * not grow with the number of actions. `onBatch` hears how far it is; it stops where that says so.
 */
export async function replay(
  history: History,
  deciders: { before: Decider; after: Decider },
  { since, until, limit }: ReplayRange,
  trustDomain: string,
  onBatch: (decisions: number, at: number) => 'go on' | 'stop',
): Promise<ReplayResult> {
  const began = performance.now();
  const past = createPast(history, trustDomain);
  const differences = { stops: createDifference(limit), runs: createDifference(limit), waits: createDifference(limit) };
  const notPolicy = createCounter();
  const cannotReplay = createCounter();
  const otherwise = createExamples(limit);
  const observed = createObserved(limit);
  let [decisions, replayed, unchanged, otherTier, decidedOtherwise] = [0, 0, 0, 0, 0];

  function count(row: RecordedDecision): void {
    const record = JSON.parse(row.entry) as ActionRecord;
    const recorded = record.decision;
    const isOfHandOut = row.operation === HAND_OUT && DECIDED_OF_HAND_OUT.test(recorded?.code ?? '');
    if (!recorded || !(isOfHandOut || DECIDED_BY_POLICY.test(recorded.code))) {
      notPolicy.add(recorded?.code ?? 'none');
      return;
    }
    const action = past.actionOf(row, record);
    if (typeof action === 'string') {
      cannotReplay.add(action);
      return;
    }
    replayed++;
    const before = deciders.before.decide(action);
    const after = deciders.after === deciders.before ? before : deciders.after.decide(action);
    const compared = (): Compared => ({
      actionId: row.action_id,
      at: row.at,
      agent: action.agent.name,
      template: action.task.template,
      tool: row.tool ?? '',
      resource: row.resource,
      before,
      after,
    });
    if (after.observed) observed.add(row.action_id, after.effect, after.observed);
    if (recorded.effect !== before.effect) {
      decidedOtherwise++;
      otherwise.add(
        () => exampleOf({ ...compared(), before: recorded, after: before }),
        `${action.agent.name} ${row.tool} ${before.code}`,
      );
    }
    const kind = differenceOf(before.effect, after.effect);
    if (kind) differences[kind].add(compared());
    else {
      unchanged++;
      if (before.tier !== after.tier) otherTier++;
    }
  }

  let reached: HistoryAfter = { at: since - 1, log: '~', sequence: Number.MAX_SAFE_INTEGER };
  for (;;) {
    const rows = await history.decisions(until, reached, limits.replayBatch);
    await past.fetch(rows);
    for (const row of rows) count(row);
    decisions += rows.length;
    const last = rows.at(-1);
    if (!last || rows.length < limits.replayBatch) break;
    reached = { at: last.at, log: last.log, sequence: last.sequence };
    if (onBatch(decisions, last.at) === 'stop') break;
  }
  return {
    since,
    until,
    decisions,
    replayed,
    unchanged,
    stops: differences.stops.result(),
    runs: differences.runs.result(),
    waits: differences.waits.result(),
    otherTier,
    notPolicy: notPolicy.list(),
    cannotReplay: cannotReplay.list(),
    decidedOtherwise: { count: decidedOtherwise, examples: otherwise.examples },
    observed: observed.list(),
    policyVersion: { before: deciders.before.policyVersion, after: deciders.after.policyVersion },
    basis: BASIS,
    tookMs: Math.round(performance.now() - began),
  };
}

const BASIS = [
  'Arguments, time, what the task had seen and what was known around the call: as recorded.',
  'Task (template, parameters, person, narrowing, who handed it on): as it was started.',
  'Agents (blueprint, environment, owner, risk), people and their groups: as the workspace has them now, with the change.',
  'Tool definitions, tiers, labels and calendars: as they are now, with the change.',
  'Who may act at all, budgets and approvals are not decided again; a call that an approval let through counts as one that waits.',
];

/** The tasks and agents of recorded actions, read a batch at a time and kept as long as there is room. */
function createPast(history: History, trustDomain: string) {
  const tasks = new Map<string, Task | null>();
  const agents = new Map<string, Agent | null>();

  async function fetchTasks(wanted: Iterable<string | null>): Promise<void> {
    for (let ids = missing(tasks, wanted); ids.length > 0; ) {
      for (const id of ids) tasks.set(id, null);
      const rows = await history.tasks(ids);
      for (const row of rows) tasks.set(row.id, fromTaskRow(row, 0));
      ids = missing(
        tasks,
        rows.map(({ parent }) => parent),
      );
    }
  }

  function actionOf(row: RecordedDecision, record: ActionRecord): PastAction | string {
    const args = row.arguments === null ? undefined : (JSON.parse(row.arguments) as Json);
    if (args === undefined && record.arguments_digest !== null) return 'arguments erased';
    const task = tasks.get(row.task ?? '');
    if (!task) return 'task unknown';
    const chain: PastAction['chain'] = [];
    for (let parent = task.parent; parent !== null; ) {
      const above = tasks.get(parent);
      const agent = above && agents.get(above.agent);
      if (!agent) return above ? 'agent unknown' : 'task unknown';
      chain.push({ agent, task: above });
      parent = above.parent;
    }
    const agent = agents.get(row.agent ?? '');
    if (!agent) return 'agent unknown';
    const ref = row.tool ?? '';
    const at = ref.search(/[/#]/);
    const isTool = row.operation === 'tools/call';
    return {
      operation: row.operation,
      server: ref.slice(0, at),
      name: isTool || ref[at] !== '#' ? ref.slice(at + 1) : (row.resource ?? ''),
      agent,
      task,
      chain,
      arguments: args ?? {},
      at: row.at,
      situation: record.decision?.situation,
    };
  }

  return {
    actionOf,
    async fetch(rows: readonly RecordedDecision[]): Promise<void> {
      if (tasks.size > limits.replayKept) tasks.clear();
      if (agents.size > limits.replayKept) agents.clear();
      await fetchTasks(rows.map(({ task }) => task));
      const named = rows.flatMap(({ task, agent }) => {
        const names = [agent];
        for (let at = tasks.get(task ?? ''); at; at = at.parent === null ? null : tasks.get(at.parent))
          names.push(at.agent);
        return names;
      });
      const names = missing(agents, named);
      for (const name of names) agents.set(name, null);
      for (const row of await history.agents(names)) agents.set(row.name, agentFromRow(row, trustDomain));
    },
  };
}

function missing(known: ReadonlyMap<string, unknown>, wanted: Iterable<string | null>): string[] {
  const ids = new Set<string>();
  for (const id of wanted) if (id !== null && !known.has(id)) ids.add(id);
  return [...ids];
}
