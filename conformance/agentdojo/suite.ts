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
});

export interface UserTask {
  id: string;
  prompt: string;
  calls: Call[];
  /** What each call answered when it was recorded. */
  results: string[];
}

export interface Suite {
  name: string;
  version: string;
  directory: string;
  tools: { name: string; description: string; inputSchema: Record<string, unknown> }[];
  userTasks: UserTask[];
  /** As published, without an attack. */
  environment: Record<string, unknown>;
}

/** Every suite of a directory: `NAME.json` beside `NAME.environment.json`. */
export function suiteNames(directory: string): string[] {
  return readdirSync(directory)
    .filter((file) => file.endsWith('.environment.json'))
    .map((file) => file.slice(0, -'.environment.json'.length))
    .filter((name) => existsSync(join(directory, `${name}.json`)))
    .sort();
}

export function loadSuite(directory: string, name: string): Suite {
  const read = (file: string): unknown => JSON.parse(readFileSync(join(directory, file), 'utf8'));
  const { suite, benchmarkVersion, tools, userTasks } = suiteFile.parse(read(`${name}.json`));
  return {
    name: suite,
    version: benchmarkVersion,
    directory,
    tools,
    userTasks: userTasks.map(({ id, prompt, groundTruth, results }) => ({ id, prompt, calls: groundTruth, results })),
    environment: z.record(z.string(), z.unknown()).parse(read(`${name}.environment.json`)),
  };
}
