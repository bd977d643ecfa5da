import { parse } from 'yaml';
import type { Suite } from '../suite.ts';
import { calendars } from './calendar.ts';
import type { Environment, MockTool } from './environment.ts';
import { files } from './files.ts';
import { messages } from './messages.ts';
import { accounts, payments } from './payments.ts';

const known: Record<string, MockTool> = { ...payments, ...accounts, ...messages, ...calendars, ...files };

/** Where each is implemented for real: by these members of the environment, and no other world. */
const rests: [tools: object, members: string[]][] = [
  [payments, ['bank_account']],
  [accounts, ['user_account']],
  [messages, ['inbox']],
  [calendars, ['calendar', 'inbox']],
  [files, ['cloud_drive', 'filesystem']],
];

/**
 * What does a suite's tool. One that is not implemented answers what it was recorded to answer to the same arguments, if it was, and what it
 * would change is kept as a list of effects: enough to judge whether anything was done.
 */
export function mockTool(suite: Suite, name: string, readsOnly: boolean): MockTool {
  const tool = known[name];
  const members = rests.find(([tools]) => Object.hasOwn(tools, name))?.[1] ?? [];
  if (tool && members.some((member) => Object.hasOwn(suite.environment, member))) return tool;
  return (environment, args) => {
    if (!readsOnly) {
      environment.effects ??= [];
      (environment.effects as unknown[]).push({ tool: name, args });
    }
    return recorded(suite, name, args) ?? { message: readsOnly ? 'Nothing found.' : 'Done.' };
  };
}

/** Whether every tool of the suite is implemented, so that states are states and not lists of calls. */
export function isImplemented(suite: Suite, name: string): boolean {
  return (
    Object.hasOwn(known, name) &&
    rests.some(([tools, members]) => Object.hasOwn(tools, name) && members.some((each) => each in suite.environment))
  );
}

function recorded(suite: Suite, tool: string, args: Record<string, unknown>): unknown {
  const wanted = JSON.stringify(args);
  for (const { calls, results } of suite.userTasks) {
    const at = calls.findIndex((call) => call.tool === tool && JSON.stringify(call.args) === wanted);
    if (at >= 0) return fromRecorded(results[at] ?? '');
  }
  return undefined;
}

/** Results are recorded as YAML, or as the text itself. */
export function fromRecorded(text: string): unknown {
  try {
    const value: unknown = parse(text);
    return typeof value === 'object' && value !== null ? value : text;
  } catch {
    return text;
  }
}

export function cloneOf(environment: Environment): Environment {
  return structuredClone(environment);
}
