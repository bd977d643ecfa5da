import {
  type AskedScope,
  type CallCredential,
  narrowScope,
  type TaskParameters,
  type TemplateManifest,
} from '@gatehouse/protocol';
import type { Snapshot } from './types.ts';

type Declared = Pick<Snapshot, 'servers' | 'templates' | 'credentialProviders'>;

/** A task, as far as it decides what it may be given. */
export interface GivenTo {
  template: string;
  parameters: TaskParameters;
}

/** What a call of a tool server is made with; null: with none. `tasks`: the task, and those that it was handed on from. */
export function credentialOf(
  { servers, templates, credentialProviders }: Declared,
  server: string,
  tasks: readonly GivenTo[],
): CallCredential | null {
  const credential = servers.get(server)?.manifest.transport.credential;
  if (!credential) return null;
  const { provider } = credential;
  const manifest = credentialProviders.get(provider);
  if (!manifest) return { provider, scope: null, problem: `There is no credential provider "${provider}".` };
  const given = givenOf({ templates }, provider, tasks);
  const narrowed = 'problem' in given ? given : narrowScope(manifest.from, credential.scope, given.within);
  return { provider, scope: null, problem: null, ...narrowed };
}

/**
 * What the templates of these tasks give of a provider, each as a limit of its own: a task that was handed on is given no more than each of those
 * it came from. A template that does not name the provider limits nothing.
 */
export function givenOf(
  { templates }: Pick<Snapshot, 'templates'>,
  provider: string,
  tasks: readonly GivenTo[],
): { within: AskedScope[] } | { problem: string } {
  const within: AskedScope[] = [];
  for (const { template: name, parameters } of tasks) {
    const template = templates.get(name);
    if (!template) return { problem: `The template "${name}" is not there any more. Start another task.` };
    const entry = template.credentials?.find((each) => each.provider === provider);
    if (!entry) continue;
    const filled = fill(entry.scope, template, parameters);
    if ('problem' in filled) return filled;
    within.push(filled.value as AskedScope);
  }
  return { within };
}

/** Names of the parameters in what a template gives. */
export function parametersIn(scope: unknown): string[] {
  if (typeof scope === 'string') return scope.startsWith('$') ? [scope.slice(1)] : [];
  if (typeof scope !== 'object' || scope === null) return [];
  return Object.values(scope).flatMap(parametersIn);
}

function fill(
  scope: unknown,
  template: TemplateManifest,
  given: TaskParameters,
): { value: unknown } | { problem: string } {
  if (typeof scope === 'string' && scope.startsWith('$')) {
    const name = scope.slice(1);
    const value = Object.hasOwn(given, name) ? given[name] : undefined;
    if (value === undefined)
      return {
        problem: `The template "${template.name}" gives credentials by its parameter "${name}", and the task has none. Start a task with it.`,
      };
    // Whoever starts a task names one thing: a pattern would stand for what the template's author did not mean.
    if (typeof value === 'string' && (value === '' || /[*?[\]\\]/.test(value)))
      return {
        problem: `The task's parameter "${name}" says which credentials it gets, and must name one thing: without any of * ? [ ] \\. Start a task with a plain value.`,
      };
    return { value };
  }
  if (typeof scope !== 'object' || scope === null) return { value: scope };
  const members: [string, unknown][] = [];
  for (const [name, each] of Object.entries(scope)) {
    const filled = fill(each, template, given);
    if ('problem' in filled) return filled;
    // "1" is one folder, and not all that begin with it.
    const isPrefix = name === 'prefix' && each !== filled.value && typeof filled.value === 'string';
    members.push([name, isPrefix ? `${(filled.value as string).replace(/\/$/, '')}/` : filled.value]);
  }
  return { value: Array.isArray(scope) ? members.map(([, value]) => value) : Object.fromEntries(members) };
}
