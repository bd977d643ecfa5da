import {
  agentManifest,
  askedHandOut,
  type Decision,
  isAllowedBy,
  type SupposedCall,
  type SupposedSituation,
  type Task,
  type TemplateManifest,
} from '@gatehouse/protocol';
import { CREDENTIAL, checkArguments, findRegistered, handOutOf, isHandOut, isRefusal } from '../enforcement/index.ts';
import { GatehouseError, type Json, type JsonObject } from '../platform/index.ts';
import {
  openCalendars,
  type PolicyRequest,
  type PolicySet,
  type PolicyUser,
  reachesNobody,
  type Situation,
  unknownSituation,
} from '../policy/index.ts';
import { type Agent, checkParameters, groupsOf, type RegisteredTool } from '../registry/index.ts';
import { STAND_IN_ENVIRONMENT } from './stand-ins.ts';
import { type Authored, agentOf } from './workspace.ts';

/** A call that is only thought of, put into the words of the engine; a refusal where it would not come to be asked. */
export type Supposed =
  | { request: PolicyRequest }
  | { refused: { code: string; reason: string }; tool: RegisteredTool | null; ref: string };

/**
 * Finds who and what a supposed call is about. Throws `suppose.invalid` where it speaks of what does not exist. Whether the tool is there
 * and its arguments fit is asked as the choke point asks it.
 */
export function suppose(
  workspace: Authored,
  call: SupposedCall,
  now: number,
  /** `anyArguments`: whether the tool takes them is not asked. */
  { anyArguments = false }: { anyArguments?: boolean } = {},
): Supposed {
  const [server = '', separator = '', name = ''] = /^([^/#]+)([/#])(.+)$/.exec(call.tool)?.slice(1) ?? [];
  if (!separator)
    throw invalid(
      `"${call.tool}" is no tool. Name it as server/tool, server#resources or server#prompts; or as provider#credential, for one that the task is handed.`,
    );
  const isFeature = separator === '#';
  const places = isFeature && name === CREDENTIAL ? placesOfProvider(workspace, server) : placesOf(workspace, server);
  const { agent, task } = supposedTask(workspace, call, places, now);
  const found = findRegistered(workspace, { server, task, name, isFeature });
  if (isRefusal(found)) return { refused: found, tool: found.tool, ref: call.tool };
  const chain = (call.handedOnBy ?? []).map((link) =>
    supposedTask(workspace, { ...link, user: call.user }, places, now),
  );
  let given = (call.arguments ?? {}) as JsonObject;
  if (isHandOut(found)) {
    const tasks = [task, ...chain.map((link) => link.task)];
    const handOut = anyArguments
      ? handOutOf(workspace, server, tasks, given as Json, agent.manifest.credentialSeconds)
      : settle(workspace, server, tasks, given, agent);
    // Which scope a task gets may depend on parameters that nobody can make up.
    const isUnfit = anyArguments && 'refused' in handOut && handOut.refused.code === 'credential.scope';
    if ('refused' in handOut && !isUnfit) return { refused: handOut.refused, tool: found, ref: found.ref };
    given = 'refused' in handOut ? { scope: {}, seconds: given.seconds ?? SUPPOSED_SECONDS } : handOut;
  }
  const problem = holdsHalfCharacter(given)
    ? 'a text in them holds half of a character (a lone surrogate)'
    : anyArguments
      ? undefined
      : checkArguments(found, given);
  if (problem)
    return {
      refused: { code: 'arguments.invalid', reason: `The arguments do not fit ${found.ref}: ${problem}.` },
      tool: found,
      ref: found.ref,
    };
  let parent: string | null = null;
  for (const [at, link] of [...chain.entries()].reverse()) {
    link.task.id = `tsk_supposed_${at}`;
    link.task.parent = parent;
    parent = link.task.id;
  }
  return {
    request: {
      agent,
      task: { ...task, parent },
      chain,
      user: userOf(workspace, call.user),
      tool: found,
      arguments: given,
      situation: situationOf(call.situation ?? {}, found, given, task, workspace, now),
    },
  };
}

/** Of a credential of which nobody says for how long. */
const SUPPOSED_SECONDS = 900;

/** As the choke point has it before it decides: what exactly would be handed out. */
function settle(
  workspace: Authored,
  provider: string,
  tasks: readonly Task[],
  asked: JsonObject,
  { manifest }: Agent,
): ReturnType<typeof handOutOf> {
  const { data, error } = askedHandOut.safeParse(asked);
  if (data) return handOutOf(workspace, provider, tasks, data as Json, manifest.credentialSeconds);
  const [issue] = error.issues;
  const reason = `Not what can be asked for: ${issue?.path.join('.') || 'the arguments'}: ${issue?.message}. There are \`scope\` and \`seconds\`.`;
  return { refused: { code: 'arguments.invalid', reason } };
}

const placesOf = ({ servers }: Authored, server: string) => servers.get(server)?.manifest.environments ?? [];
const placesOfProvider = ({ credentialProviders }: Authored, name: string) =>
  credentialProviders.get(name)?.environments ?? [];

/** The gate takes none from outside, and no engine compares one. */
function holdsHalfCharacter(value: unknown): boolean {
  if (typeof value === 'string') return !value.isWellFormed();
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(([name, member]) => !name.isWellFormed() || holdsHalfCharacter(member));
}

/** What the choke point would answer, but for who calls and whether they are stopped. */
export function decideSupposed(set: PolicySet, supposed: Supposed): Decision {
  if ('request' in supposed) return set.decide(supposed.request);
  const { code, reason } = supposed.refused;
  return { effect: 'deny', tier: supposed.tool?.tier ?? 4, code, reason, policies: [], policyVersion: set.version };
}

function supposedTask(
  workspace: Authored,
  call: Pick<SupposedCall, 'agent' | 'template' | 'parameters' | 'user' | 'narrowedTo'>,
  places: readonly string[],
  now: number,
): { agent: Agent; task: Task } {
  const { template: templateName } = call;
  if (templateName === undefined) throw invalid('Name the template under which the task runs.');
  const template = workspace.templates.get(templateName);
  if (!template)
    throw invalid(`There is no template "${templateName}". There are ${listed(workspace.templates.keys())}.`);
  const parameters = call.parameters ?? {};
  if (holdsHalfCharacter(parameters))
    throw invalid('A parameter holds half of a character (a lone surrogate), which is no text.');
  checkParameters(template, parameters);
  const agent = supposedAgent(workspace, call.agent, templateName, places);
  const email = typeof call.user === 'object' ? call.user.email : call.user;
  return {
    agent,
    task: {
      id: 'tsk_supposed',
      agent: agent.name,
      environment: agent.manifest.environment,
      template: templateName,
      parameters,
      intent: '',
      onBehalfOf: null,
      requestedBy: null,
      ticket: null,
      changeRequest: null,
      modelProvider: null,
      model: null,
      user: email ?? null,
      delegation: null,
      parent: null,
      actors: [],
      narrowing: call.narrowedTo ? { tools: call.narrowedTo } : null,
      vouchedBy: null,
      state: 'active',
      startedAt: now,
      expiresAt: Number.MAX_SAFE_INTEGER,
    } as Task,
  };
}

/** One that is declared; or one of the kind that would run such a task, where its tool is. */
function supposedAgent(
  workspace: Authored,
  given: SupposedCall['agent'],
  template: string,
  places: readonly string[],
): Agent {
  if (typeof given === 'string') {
    const agent = workspace.agents.get(given);
    if (!agent)
      throw invalid(`There is no agent "${given}". Correct the name, or describe one: {blueprint, environment}.`);
    return agent;
  }
  const blueprint = [...workspace.blueprints.values()].find(({ templates }) => templates.includes(template));
  return agentOf(
    agentManifest.parse({
      kind: 'Agent',
      name: given?.name ?? 'agent-supposed',
      owner: given?.owner ?? 'owner@example.test',
      purpose: 'supposed',
      environment: given?.environment ?? places[0] ?? STAND_IN_ENVIRONMENT,
      blueprint: given?.blueprint ?? blueprint?.name ?? 'supposed',
      risk: given?.risk ?? 'medium',
    }),
  );
}

function userOf(workspace: Authored, given: SupposedCall['user']): PolicyUser | null {
  if (given === undefined) return null;
  const email = typeof given === 'object' ? given.email : given;
  const person = workspace.people.get(email);
  if (typeof given === 'string')
    return person ? { email, roles: person.roles, groups: groupsOf(workspace, email) } : null;
  return {
    email,
    roles: given.roles ?? person?.roles ?? [],
    groups: given.groups ?? groupsOf(workspace, email),
  };
}

function situationOf(
  given: SupposedSituation,
  tool: RegisteredTool,
  args: JsonObject,
  task: Task,
  workspace: Authored,
  now: number,
): Situation {
  const known = unknownSituation(given.now === undefined ? now : Date.parse(given.now), tool.labels.roles);
  const told = new Set<Json>([...Object.values(task.parameters), ...(task.user === null ? [] : [task.user])]);
  const template = workspace.templates.get(task.template);
  const origin = (argument: string) => {
    const said = typeof given.provenance === 'object' ? given.provenance[argument] : given.provenance;
    if (said !== undefined) return said;
    const value = args[argument] as Json;
    const isTold = told.has(value) || (template && literalsOf(template, tool, argument).includes(value));
    return isTold ? 'stated' : 'unknown';
  };
  return {
    ...known,
    calendars: given.calendars ?? openCalendars(workspace.calendars, known.now),
    address: given.address ?? null,
    ticket: given.ticket ?? null,
    changeRequest: given.changeRequest ?? null,
    firstUse: given.firstUse ?? false,
    deviations: (given.deviations ?? []).map((kind) => ({ kind, words: `Supposed: unusual by ${kind}.` })),
    flow: {
      untrusted: given.untrusted ?? false,
      sensitive: given.sensitive ?? [],
      textless: given.textless ?? false,
      reachesNobody: given.reachesNobody ?? reachesNobody(tool, args),
      provenance: Object.fromEntries(
        Object.keys(tool.labels.roles)
          .filter((argument) => Object.hasOwn(args, argument))
          .map((argument) => [argument, origin(argument)]),
      ),
    },
  };
}

/** What a template itself says of an argument: its author vouches for it. */
function literalsOf(template: TemplateManifest, tool: RegisteredTool, argument: string): Json[] {
  return template.allow.flatMap((entry) => {
    const value = entry.when?.[argument];
    const isParameter = typeof value === 'string' && value.startsWith('$');
    const covers = isAllowedBy(entry, { ref: tool.ref, effects: tool.effects, domain: tool.labels.domain });
    return value === undefined || isParameter || !covers ? [] : [value];
  });
}

function listed(names: Iterable<string>): string {
  return [...names].slice(0, 20).join(', ') || 'none';
}

const invalid = (message: string) => new GatehouseError('bad-request', 'suppose.invalid', message);
