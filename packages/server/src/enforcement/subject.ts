import type { Delegated } from '@gatehouse/protocol';
import type { Caller } from '../identity/index.ts';
import { digestJson, isJsonObject } from '../platform/index.ts';
import { directRef, type Feature, featureSubject, features } from '../policy/index.ts';
import {
  type Agent,
  type RegisteredServer,
  type RegisteredTool,
  type Snapshot,
  unlabelled,
} from '../registry/index.ts';
import { CREDENTIAL, findHandOut } from './hand-out.ts';
import { type Action, HAND_OUT } from './types.ts';

/** What finding a subject needs to know of an action. */
type Asked = Pick<Action, 'operation' | 'server' | 'name' | 'arguments' | 'gateway'> & {
  caller: { task: { environment: string; template: string } };
};
type Declared = Pick<Snapshot, 'servers' | 'templates'> & Partial<Pick<Snapshot, 'credentialProviders'>>;

/** A refusal found before policy is asked: its code and what to do next. */
export interface Refusal {
  code: string;
  reason: string;
  tool: RegisteredTool | null;
}

const featureOf = new Map<string, Feature>([
  ['resources/read', 'resources'],
  ['resources/subscribe', 'resources'],
  ['resources/unsubscribe', 'resources'],
  ['prompts/get', 'prompts'],
  ['sampling/createMessage', 'sampling'],
  ['elicitation/create', 'elicitation'],
  ['elicitation/create:url', 'url-elicitation'],
  ['roots/list', 'roots'],
  ['tasks/get', 'tasks'],
  ['tasks/result', 'tasks'],
  ['tasks/list', 'tasks'],
  ['tasks/cancel', 'tasks'],
  ['tasks/update', 'tasks'],
]);

/**
 * Finds the registered thing that an action is about. What no operator registered does not exist; what waits for review can't be
 * used; what belongs to another environment is not there (law 8; environments never cross).
 */
export function findSubject(snapshot: Declared, action: Asked): RegisteredTool | Refusal {
  if (action.operation === HAND_OUT && !action.gateway) return findHandOut(snapshot, action.server, action.caller.task);
  const server = snapshot.servers.get(action.server);
  const { environment } = action.caller.task;
  if (!server?.manifest.environments.includes(environment)) return serverUnknown(action.server, environment);
  if (action.operation === 'tools/call') return findTool(server, action.name);
  const feature =
    action.operation === 'completion/complete' ? completionFeature(action) : featureOf.get(action.operation);
  if (!feature)
    return refusal('operation.unknown', `"${action.operation}" is not an operation that the gate lets through.`);
  if (feature === 'prompts') {
    const prompt = server.definitions.find(({ kind, name }) => kind === 'prompt' && name === action.name);
    if (prompt?.state !== 'approved')
      return refusal(
        'prompt.not-approved',
        `The prompt "${action.name}" of ${server.name} is not approved. Ask an operator to review it.`,
      );
  }
  return featureTool(server, feature);
}

/** The same for a call that is only thought of: a tool, what is not a tool of a server, or a credential of a provider, by its name. */
export function findRegistered(
  snapshot: Declared,
  of: { server: string; task: { environment: string; template: string }; name: string; isFeature: boolean },
): RegisteredTool | Refusal {
  if (of.isFeature && of.name === CREDENTIAL) return findHandOut(snapshot, of.server, of.task);
  const { environment } = of.task;
  const server = snapshot.servers.get(of.server);
  if (!server?.manifest.environments.includes(environment)) return serverUnknown(of.server, environment);
  if (!of.isFeature) return findTool(server, of.name);
  const feature = features.find((each) => each === of.name);
  return feature
    ? featureTool(server, feature)
    : refusal(
        'operation.unknown',
        `"${of.name}" is nothing that a server has. There are ${features.join(', ')}; and \`${directRef('PROVIDER')}\`, of a credential provider.`,
      );
}

function serverUnknown(server: string, environment: string): Refusal {
  return refusal(
    'server.unknown',
    `There is no tool server "${server}" in environment "${environment}". List the tools to see what there is.`,
  );
}

function findTool(server: RegisteredServer, name: string): RegisteredTool | Refusal {
  const tool = server.tools.get(name);
  if (tool?.state === 'missing') return refusal('tool.missing', `${server.name} does not serve ${tool.ref} now.`, tool);
  if (!tool?.definition) {
    const waiting = tool ? 'waits for its first review' : 'does not exist';
    return refusal(
      tool ? 'tool.held' : 'tool.unknown',
      `The tool ${server.name}/${name} ${waiting}. List the tools to see what this task may use.`,
      tool,
    );
  }
  if (tool.state === 'held') {
    return refusal(
      'tool.held',
      `The definition of ${tool.ref} has changed since it was approved and waits for review. Ask an operator to review it under Tools.`,
      tool,
    );
  }
  return tool;
}

export function featureTool(server: RegisteredServer, feature: Feature): RegisteredTool {
  const subject = featureSubject(server, feature);
  return {
    ref: subject.ref,
    server: server.name,
    name: `#${feature}`,
    tier: subject.tier,
    effects: subject.effects,
    resourceArgument: feature === 'resources' ? 'uri' : null,
    state: 'approved',
    digest: digestJson({
      feature,
      resources: server.manifest.resources ?? null,
      prompts: server.manifest.prompts ?? null,
      clientRequests: { ...server.manifest.clientRequests },
    }),
    labels: ['tasks', 'resources', 'prompts'].includes(feature) ? labelsOfAny(server) : unlabelled,
    definition: null,
  };
}

/**
 * What a server gives without a call of a tool (resources that a result links to, prompts, log lines) may be what any of its tools would have
 * said: it is as sensitive, and held as soon, as the strictest of them.
 */
export function labelsOfAny({ tools }: RegisteredServer): RegisteredTool['labels'] {
  const all = [...tools.values()].map(({ labels }) => labels);
  const kinds = all.flatMap(({ returns: { sensitive, fields } }) => [
    ...sensitive,
    ...Object.values(fields).flatMap((field) => field.sensitive ?? []),
  ]);
  const holds = all.flatMap(({ hold }) => hold ?? []);
  const least = (of: 'items' | 'bytes') => Math.min(...holds.flatMap((hold) => hold[of] ?? []));
  const [items, bytes] = [least('items'), least('bytes')];
  return {
    ...unlabelled,
    returns: { ...unlabelled.returns, sensitive: [...new Set(kinds)].sort() },
    hold:
      holds.length === 0
        ? null
        : { ...(Number.isFinite(items) && { items }), ...(Number.isFinite(bytes) && { bytes }) },
  };
}

function completionFeature(action: Asked): Feature {
  const reference = isJsonObject(action.arguments) && isJsonObject(action.arguments.ref) ? action.arguments.ref : {};
  return reference.type === 'ref/prompt' ? 'prompts' : 'resources';
}

function refusal(code: string, reason: string, tool: RegisteredTool | null = null): Refusal {
  return { code, reason, tool };
}

export function isRefusal(found: RegisteredTool | Refusal): found is Refusal {
  return 'code' in found;
}

/** Who asks a person for something, and for what task: of every approval. */
export const askedBy = ({ manifest }: Agent, { caller: { task } }: Action) => ({
  owner: manifest.owner,
  intent: task.intent,
  template: task.template,
  environment: task.environment,
  requestedBy: task.requestedBy,
  onBehalfOf: task.onBehalfOf,
});

/** The resource that a record names: the value of the tool's resource argument, or the URI or prompt itself. */
export function resourceOf(tool: RegisteredTool, action: Action): string | null {
  if (action.operation !== 'tools/call') return action.name.slice(0, 4_096).toWellFormed() || null;
  const value =
    tool.resourceArgument && isJsonObject(action.arguments) ? action.arguments[tool.resourceArgument] : undefined;
  return typeof value === 'string' || typeof value === 'number' ? String(value).slice(0, 500).toWellFormed() : null;
}

/** What an approval names as the thing to be done. */
export const toolNameOf = ({ operation, name }: Action, { ref }: RegisteredTool): string =>
  operation === 'tools/call' || operation === HAND_OUT ? ref : `${ref} ${name}`;

/** On whose authority an action is done beyond the agent's own, as an approval binds it; null for a task that stands for itself. */
export function delegatedOf({ task, chain }: Caller): Delegated | null {
  if (task.user === null && chain.length === 0 && task.narrowing === null) return null;
  return {
    user: task.user,
    chain: chain.map((link) => ({ agent: link.agent, agentEpoch: link.agentEpoch, task: link.task.id })),
    narrowing: [task, ...chain.map((link) => link.task)].flatMap(({ narrowing }) =>
      narrowing ? [narrowing.tools] : [],
    ),
  };
}
