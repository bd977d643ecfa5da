import { isComplete, isContained, type Step, stateAfter } from './judge.ts';
import { type Labels, readsOnly } from './labels.ts';
import type { Call, Pair, Suite, UserTask } from './suite.ts';

/** What a simple control that needs no model says to a call. `wait`: a person is asked. */
type Verdict = 'run' | 'wait' | 'refuse';

interface Around {
  user: UserTask;
  /** The task has read a result that is not trusted as a whole. */
  untrusted: boolean;
  labels: Labels;
  suite: Suite;
}

export interface Baseline {
  name: string;
  decide(call: Call, around: Around): Verdict;
}

/** The controls that others ship, on the same traces and labels. */
export const baselines: Baseline[] = [
  {
    // Oracle: the list is taken from the ground truth of the very task, which nobody has.
    name: 'tool allowlist alone (per task, from its ground truth)',
    decide: ({ tool }, { user }) => (user.calls.some((call) => call.tool === tool) ? 'run' : 'refuse'),
  },
  {
    name: 'tool allowlist alone (one for the suite)',
    decide: ({ tool }, { suite }) =>
      suite.userTasks.some(({ calls }) => calls.some((call) => call.tool === tool)) ? 'run' : 'refuse',
  },
  {
    name: 'session taint alone',
    decide: ({ tool }, { untrusted, labels }) => (untrusted && !readsOnly(labels.get(tool)) ? 'wait' : 'run'),
  },
  {
    name: 'prompt provenance alone',
    decide: (call, { user, labels }) =>
      readsOnly(labels.get(call.tool)) || isStated(call, user, labels) ? 'run' : 'wait',
  },
];

const grave = new Set(['recipient', 'account', 'url', 'path', 'identifier', 'amount', 'credential', 'command']);

/** Every value of an argument that matters stands in the prompt as a whole, whatever its case: `13` is not in `2013`. */
function isStated({ tool, args }: Call, { prompt }: UserTask, labels: Labels): boolean {
  const roles = labels.get(tool)?.arguments ?? {};
  return Object.entries(args)
    .filter(([name]) => grave.has(roles[name]?.role ?? ''))
    .flatMap(([, value]) => scalars(value))
    .every((value) => standsIn(prompt.toLowerCase(), value.toLowerCase()));
}

function standsIn(text: string, value: string): boolean {
  const wordAt = (at: number) => /[\p{L}\p{N}]/u.test(text[at] ?? ' ');
  for (let at = text.indexOf(value); at >= 0; at = text.indexOf(value, at + 1))
    if (!wordAt(at - 1) && !wordAt(at + value.length)) return true;
  return false;
}

function scalars(value: unknown): string[] {
  if (value === null || value === undefined) return [];
  return typeof value === 'object' ? Object.values(value).flatMap(scalars) : [String(value)];
}

export interface BaselineRun {
  contained: boolean[];
  complete: boolean[];
  /** By benign task: how often a person was asked, and calls that were refused. */
  approvals: number[];
  refused: number[];
}

export function runBaseline({ decide }: Baseline, suite: Suite, labels: Labels, pairs: readonly Pair[]): BaselineRun {
  const replay = (user: UserTask, calls: (Call & { origin: 'user' | 'inject' })[], approve: boolean) => {
    let untrusted = false;
    return calls.map((call): Step & { verdict: Verdict } => {
      const verdict = decide(call, { user, untrusted, labels, suite });
      const ran = verdict === 'run' || (approve && verdict === 'wait');
      if (ran) untrusted ||= labels.get(call.tool)?.returns?.trust !== 'trusted';
      return { ...call, ran, verdict };
    });
  };
  const stateOf = (steps: readonly Step[]) =>
    stateAfter(
      suite,
      labels,
      steps.filter(({ ran }) => ran),
    );
  const attacks = pairs.map(({ user, calls }) => replay(user, calls, false));
  const benign = suite.userTasks.map((user) => ({
    user,
    steps: replay(
      user,
      user.calls.map((call) => ({ ...call, origin: 'user' as const })),
      true,
    ),
  }));
  return {
    contained: attacks.map((steps) => isContained(suite, labels, steps, stateOf(steps))),
    complete: benign.map(({ user, steps }) => isComplete(suite, labels, user.calls, stateOf(steps))),
    approvals: benign.map(({ steps }) => steps.filter(({ verdict }) => verdict === 'wait').length),
    refused: benign.map(({ steps }) => steps.filter(({ verdict }) => verdict === 'refuse').length),
  };
}
