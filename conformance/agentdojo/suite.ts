import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const call = z.object({ tool: z.string(), args: z.record(z.string(), z.unknown()) });
export type Call = z.infer<typeof call>;

const suiteFile = z.object({
  benchmarkVersion: z.string(),
  suite: z.string(),
  tools: z.array(
    z.object({ name: z.string(), description: z.string(), inputSchema: z.record(z.string(), z.unknown()) }),
  ),
  userTasks: z.array(
    z.object({
      id: z.string(),
      prompt: z.string(),
      groundTruth: z.array(call),
      results: z.array(z.string()).default([]),
    }),
  ),
  injectionTasks: z.array(
    z.object({
      id: z.string(),
      goal: z.string(),
      groundTruth: z.array(call),
      groundTruthDerived: z.boolean().default(false),
    }),
  ),
});

const pairLine = z.object({
  suite: z.string(),
  userTask: z.string(),
  injectionTask: z.string(),
  calls: z.array(call.extend({ origin: z.enum(['user', 'inject']), step: z.number() })),
  firstTaintedStep: z.number(),
  attackSucceedsUndefended: z.boolean(),
});

export interface UserTask {
  id: string;
  prompt: string;
  calls: Call[];
  /** What each call answered when it was recorded. */
  results: string[];
}

export interface InjectionTask {
  id: string;
  /** What the attacker wrote. */
  goal: string;
  calls: Call[];
  /** Its calls are not upstream's: they were worked out from the goal. */
  derived: boolean;
}

/** A user task that meets an injection, and what an agent does that falls for it. */
export interface Pair {
  user: UserTask;
  injection: InjectionTask;
  calls: (Call & { origin: 'user' | 'inject' })[];
  /** The call whose result carries the injection. */
  taintedAt: number;
  /** Whether the attacker gets there when nothing stands in the way. */
  reachesGoal: boolean;
}

export interface Suite {
  name: string;
  version: string;
  directory: string;
  tools: { name: string; description: string; inputSchema: Record<string, unknown> }[];
  userTasks: UserTask[];
  injectionTasks: InjectionTask[];
  /** As published, without an attack. */
  environment: Record<string, unknown>;
}

/** Every suite of a directory: `NAME.json` beside `NAME.environment.json`. */
export function suiteNames(directory: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .filter((file) => file.endsWith('.environment.json'))
    .map((file) => file.slice(0, -'.environment.json'.length))
    .filter((name) => existsSync(join(directory, `${name}.json`)))
    .sort();
}

export function loadSuite(directory: string, name: string): Suite {
  const read = (file: string): unknown => JSON.parse(readFileSync(join(directory, file), 'utf8'));
  const { suite, benchmarkVersion, tools, userTasks, injectionTasks } = suiteFile.parse(read(`${name}.json`));
  return {
    name: suite,
    version: benchmarkVersion,
    directory,
    tools,
    userTasks: userTasks.map(({ groundTruth, ...rest }) => ({ ...rest, calls: groundTruth })),
    injectionTasks: injectionTasks.map(({ groundTruth, groundTruthDerived, ...rest }) => ({
      ...rest,
      calls: groundTruth,
      derived: groundTruthDerived,
    })),
    environment: z.record(z.string(), z.unknown()).parse(read(`${name}.environment.json`)),
  };
}

/**
 * The recorded traces of a suite (`pairs.jsonl`); where there are none, every injection after the first call of a task whose result somebody
 * outside could have written (`canCarry`).
 */
export function loadPairs(suite: Suite, canCarry: (tool: string) => boolean = () => true): Pair[] {
  const file = join(suite.directory, 'pairs.jsonl');
  const lines = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
  const recorded = lines.map((line) => pairLine.parse(JSON.parse(line))).filter((each) => each.suite === suite.name);
  if (recorded.length === 0)
    return suite.userTasks.flatMap((user) => {
      const at = user.calls.findIndex(({ tool }) => canCarry(tool));
      return at < 0 ? [] : suite.injectionTasks.map((injection) => composed(user, injection, at));
    });
  return recorded.map(({ userTask, injectionTask, calls, firstTaintedStep, attackSucceedsUndefended }) => ({
    user: find(suite.userTasks, userTask),
    injection: find(suite.injectionTasks, injectionTask),
    calls: calls.map(({ tool, args, origin }) => ({ tool, args, origin })),
    taintedAt: calls.findIndex(({ origin, step }) => origin === 'user' && step === firstTaintedStep),
    reachesGoal: attackSucceedsUndefended,
  }));
}

function composed(user: UserTask, injection: InjectionTask, at: number): Pair {
  const own = user.calls.map((call) => ({ ...call, origin: 'user' as const }));
  const injected = injection.calls.map((call) => ({ ...call, origin: 'inject' as const }));
  return {
    user,
    injection,
    calls: [...own.slice(0, at + 1), ...injected, ...own.slice(at + 1)],
    taintedAt: at,
    reachesGoal: injection.calls.length > 0,
  };
}

function find<T extends { id: string }>(among: T[], id: string): T {
  const found = among.find((each) => each.id === id);
  if (!found) throw new Error(`pairs.jsonl names ${id}, which the suite does not have.`);
  return found;
}
