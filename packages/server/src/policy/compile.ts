import {
  type EntityJson,
  type EntityUidJson,
  type PolicyJson,
  policySetTextToParts,
  policyToJson,
  preparsePolicySet,
  statefulIsAuthorized,
  type TypeAndId,
  validate,
} from '@cedar-policy/cedar-wasm/nodejs';
import { type Decision, effect, type Task, type Tier } from '@gatehouse/protocol';
import { digestJson, GatehouseError } from '../platform/index.ts';
import type { Agent, RegisteredTool } from '../registry/index.ts';
import { byTier, handedOnBy, isWhole, narrowest, type Part } from './delegated.ts';
import { explainUnmet, explainUnmetFor, forbidden, narrowedAway, notPermitted, notPermittedTo } from './explain.ts';
import { argumentReads, isTyped, type Read, unseenArgument } from './reads.ts';
import { buildSchema, type Subject, subjectsOf } from './schema.ts';
import {
  concerns,
  inScope,
  inUserScope,
  isAboutOneTask,
  isAboutUsers,
  namedUser,
  principalUids,
  uid,
} from './slice.ts';
import { type AllowPermit, groupPermits, isWithin, templatePermits } from './templates.ts';
import type { CompilePolicies, PolicyRequest, PolicySet, PolicyUser } from './types.ts';
import { toContext } from './values.ts';

export interface CompiledPolicy {
  id: string;
  /** For scope, annotations and explanations; a literal beyond 2^53 is not exact in it. */
  json: PolicyJson;
  /** What the engine is given: the text as written, or the JSON that a template was compiled to. */
  source: string | PolicyJson;
  /** Present on permits made from the `allow` of a template or group. */
  permit: AllowPermit | null;
  /** False: about tasks. */
  isAboutUsers: boolean;
  reads: Read[];
}

/**
 * Parses and validates everything with the official engine, and decides with it. To keep a decision from growing with the number
 * of policies, the engine is given only those whose scope can match the request's template, agent and tool: a policy whose scope
 * does not match can neither permit nor forbid (Cedar, "policy slicing").
 */
export const compilePolicies: CompilePolicies = (snapshot, options) => {
  const subjects = new Map<string, Subject>();
  for (const server of snapshot.servers.values())
    for (const subject of subjectsOf(server)) subjects.set(subject.ref, subject);
  const all = [...subjects.values()];
  const templates = [...snapshot.templates.values()];
  const schemas = { Task: buildSchema(all, templates, 'Task'), User: buildSchema(all, templates, 'User') };
  const policies = new Map<string, CompiledPolicy>();
  const permits = [
    ...templates.flatMap((template) => templatePermits(template, subjects)),
    ...[...snapshot.groups.values()].flatMap((group) => groupPermits(group, subjects)),
  ];
  for (const permit of permits) {
    const { id, policy, holder } = permit;
    const isAboutUsers = holder.kind === 'Group';
    policies.set(id, { id, json: policy, source: policy, permit, reads: [], isAboutUsers });
  }
  for (const file of snapshot.policies.values()) {
    for (const policy of parse(file.name, file.cedar)) {
      if (policies.has(policy.id)) throw invalid(file.name, 1, `two policies have the id "${policy.id}"`);
      const compiled = {
        ...policy,
        permit: null,
        reads: argumentReads(policy.json),
        isAboutUsers: isAboutUsers(policy.json),
      };
      const problem = blindSpot(compiled, all);
      if (problem) throw invalid(file.name, lineOf(file.cedar, file.cedar.indexOf(policy.source)), problem);
      policies.set(policy.id, compiled);
    }
  }
  if (!options?.validated) {
    const [users, tasks] = [true, false].map(
      (wanted) => new Map([...policies].filter(([, policy]) => policy.isAboutUsers === wanted)),
    );
    check(schemas.Task, tasks ?? policies, snapshot.policies);
    check(schemas.User, users ?? policies, snapshot.policies);
  }
  // As an object, so that the order in which things were loaded is not part of the version.
  const version = digestJson({
    schema: schemas.Task,
    policies: Object.fromEntries([...policies].map(([id, { source }]) => [id, source])),
  });
  return policySet(version, policies, subjects);
};

function policySet(version: string, policies: Map<string, CompiledPolicy>, subjects: Map<string, Subject>): PolicySet {
  const owner = Symbol(version);
  const slices = new Map<string, Slice>();
  const aboutTasks = [...policies.values()].filter((policy) => !policy.isAboutUsers);
  const aboutUsers = [...policies.values()].filter((policy) => policy.isAboutUsers);
  /** Users that a policy names: all others of the same groups share a slice. */
  const named = new Set(aboutUsers.flatMap(({ json }) => namedUser(json) ?? []));

  const sliceOf = (key: string, from: CompiledPolicy[], isIn: (policy: CompiledPolicy) => boolean): Slice => {
    let slice = slices.get(key);
    if (!slice) {
      if (slices.size >= MAX_SLICES) slices.clear();
      slice = { candidates: from.filter(isIn), slot: null };
      slices.set(key, slice);
    }
    return slice;
  };
  const sliceFor = (agent: Agent, task: Task, ref: string): Slice => {
    const principals = principalUids(agent, task);
    const subject = subjects.get(ref);
    // All of them: an agent's blueprint and environment can change under policies that stay the same.
    const key = [...principals.map(({ id }) => id), ref].join('\n');
    return sliceOf(key, aboutTasks, ({ json }) => subject !== undefined && inScope(json, principals, subject));
  };
  const userSliceFor = (user: PolicyUser, ref: string): Slice => {
    const subject = subjects.get(ref);
    const key = ['user', named.has(user.email) ? user.email : '', ...user.groups, ref].join('\n');
    return sliceOf(key, aboutUsers, ({ json }) => subject !== undefined && inUserScope(json, user, subject));
  };

  const evaluate = (request: PolicyRequest, who: Principal): Decision => {
    const { tool } = request;
    const { candidates } = who.slice;
    const result = (effect: Decision['effect'], tier: Tier, code: string, reason: string, ids: string[]): Decision => ({
      effect,
      tier,
      code,
      reason,
      policies: ids,
      policyVersion: version,
    });
    const subject = subjects.get(tool.ref);
    if (!subject || !candidates.some(({ json }) => json.effect === 'permit'))
      return result('deny', tool.tier, 'policy.no-permit', who.noPermit(), []);
    const context = toContext(request.arguments, subject.arguments);
    if ('problem' in context) {
      return result(
        'deny',
        tool.tier,
        'arguments.invalid',
        `The arguments do not fit the tool: ${context.problem}. Correct them and call again.`,
        [],
      );
    }
    for (const { id, reads } of candidates) {
      const unseen = unseenArgument(reads, request.arguments, subject.arguments);
      if (unseen === undefined) continue;
      return result(
        'deny',
        tool.tier,
        'policy.unseen-argument',
        `Policy ${id} looks at "${unseen}", which ${tool.ref} does not declare with one plain type, so that no policy can compare it. Leave it out, or ask ${request.agent.manifest.owner} (the owner) for another tool.`,
        [id],
      );
    }
    const answer = statefulIsAuthorized({
      principal: who.uid,
      action: uid('Action', tool.ref),
      resource: uid('Tool', tool.ref),
      context: { arguments: context.context },
      preparsedPolicySetId: prepare(owner, who.slice),
      entities: [who.entity, ...toolEntities(tool, subject)],
    });
    const failures =
      answer.type === 'failure'
        ? answer.errors.map(({ message }) => message)
        : answer.response.diagnostics.errors.map(({ error }) => error.message);
    if (answer.type === 'failure' || failures.length > 0) {
      return result(
        'deny',
        tool.tier,
        'policy.error',
        `A policy could not be evaluated, so the call is refused: ${failures[0]}`,
        [],
      );
    }
    const ids = answer.response.diagnostics.reason;
    const determining = candidates.filter(({ id }) => ids.includes(id));
    const tier = raisedTier(tool.tier, determining);
    if (answer.response.decision === 'deny') {
      if (ids.length > 0) return result('deny', tier, 'policy.forbidden', forbidden(determining), ids);
      return result('deny', tier, 'policy.conditions-unmet', who.unmet(candidates), []);
    }
    return { ...byTier(tool.ref, tier), policies: ids, policyVersion: version };
  };

  const asTask = (request: PolicyRequest, { agent, task }: { agent: Agent; task: Task }): Decision => {
    const { tool } = request;
    if (task.narrowing && !isWithin(task.narrowing, tool.ref))
      return {
        effect: 'deny',
        tier: tool.tier,
        code: 'task.narrowed',
        reason: narrowedAway(task, tool),
        policies: [],
        policyVersion: version,
      };
    return evaluate(request, {
      uid: uid('Task', task.id),
      entity: taskEntity(agent, task),
      slice: sliceFor(agent, task, tool.ref),
      noPermit: () => notPermitted(agent, task, tool, policies.values()),
      unmet: (candidates) => explainUnmet({ task, tool, arguments: request.arguments }, candidates),
    });
  };

  const asUser = (request: PolicyRequest, email: string): Decision => {
    const { tool } = request;
    const user = request.user?.email === email ? request.user : null;
    return evaluate(request, {
      uid: uid('User', email),
      entity: userEntity(email, user),
      slice: user ? userSliceFor(user, tool.ref) : { candidates: [], slot: null },
      noPermit: () => notPermittedTo(user, email, tool, policies.values()),
      unmet: (candidates) => (user ? explainUnmetFor(user, request, candidates) : ''),
    });
  };

  return {
    version,
    mayEverUse({ agent, task, chain = [], user }, tool) {
      if (!isWhole({ task, chain })) return false;
      const mayEver = ({ candidates }: Slice) => {
        const always = candidates.some(
          ({ json }) => json.effect === 'forbid' && json.conditions.length === 0 && !isAboutOneTask(json),
        );
        return !always && candidates.some(({ json }) => json.effect === 'permit');
      };
      const links = [{ agent, task }, ...chain];
      return (
        links.every(
          (link) =>
            (!link.task.narrowing || isWithin(link.task.narrowing, tool.ref)) &&
            mayEver(sliceFor(link.agent, link.task, tool.ref)),
        ) &&
        (task.user === null || (user?.email === task.user && mayEver(userSliceFor(user, tool.ref))))
      );
    },
    decide(request) {
      const { agent, task, chain = [], tool } = request;
      if (!isWhole({ task, chain }))
        return {
          effect: 'deny',
          tier: tool.tier,
          code: 'delegation.chain',
          reason: `It is not known on whose authority the task ${task.id} acts. Start a new one.`,
          policies: [],
          policyVersion: version,
        };
      const parts: Part[] = [{ decision: asTask(request, { agent, task }) }];
      for (const link of chain)
        parts.push({ decision: asTask(request, link), code: 'delegation.chain', side: handedOnBy(link) });
      if (task.user !== null) parts.push({ decision: asUser(request, task.user), code: 'delegation.user' });
      return parts.length === 1 && parts[0] ? parts[0].decision : narrowest(tool.ref, parts);
    },
  };
}

/** Who is asked about in one evaluation, and how to explain a refusal. */
interface Principal {
  uid: TypeAndId;
  entity: EntityJson;
  slice: Slice;
  noPermit(): string;
  unmet(candidates: CompiledPolicy[]): string;
}

interface Slice {
  candidates: CompiledPolicy[];
  slot: number | null;
}

const MAX_SLICES = 10_000;

/** The engine keeps pre-parsed sets by name and never lets go of one: a bounded ring of names is used over and over. */
const slots: { owner: symbol; slice: Slice }[] = [];
const MAX_SLOTS = 2_048;
let nextSlot = 0;

function prepare(owner: symbol, slice: Slice): string {
  const held = slice.slot === null ? undefined : slots[slice.slot];
  if (held?.owner === owner && held.slice === slice) return `slot-${slice.slot}`;
  const slot = nextSlot;
  nextSlot = (nextSlot + 1) % MAX_SLOTS;
  const answer = preparsePolicySet(`slot-${slot}`, {
    staticPolicies: Object.fromEntries(slice.candidates.map(({ id, source }) => [id, source])),
  });
  if (answer.type === 'failure')
    throw new GatehouseError('internal', 'policy.prepare', `Policies cannot be prepared: ${answer.errors[0]?.message}`);
  slots[slot] = { owner, slice };
  slice.slot = slot;
  return `slot-${slot}`;
}

function raisedTier(tier: Tier, determining: CompiledPolicy[]): Tier {
  const raised = determining.map(({ json }) => Number(json.annotations?.tier ?? 0));
  return Math.max(tier, ...raised) as Tier;
}

/** What the policy looks at and no tool in its scope lets it see. Tools that nobody has seen yet may still bring it. */
function blindSpot({ json, reads }: CompiledPolicy, subjects: Subject[]): string | undefined {
  if (json.action.op === '==' && 'entity' in json.action && isEffect(json.action.entity))
    return 'a group of actions is never == one action, so that it would never apply; write `action in` instead of `action ==`';
  const concerned = subjects.filter((subject) => concerns(json, subject));
  if (concerned.length === 0 || concerned.some(({ described }) => !described)) return undefined;
  const blind = reads.find((read) => !concerned.some((subject) => isTyped(read, subject.arguments)));
  return (
    blind &&
    `no tool that it is about has an argument "${blind.path.join('.')}" of a type that policies can compare, so that it would never apply`
  );
}

function isEffect(action: EntityUidJson): boolean {
  return effect.safeParse(('__entity' in action ? action.__entity : action).id).success;
}

const reference = (type: string, id: string) => ({ __entity: uid(type, id) });

function taskEntity(agent: Agent, task: Task): EntityJson {
  return {
    uid: uid('Task', task.id),
    parents: principalUids(agent, task),
    attrs: {
      agent: reference('Agent', agent.name),
      template: reference('Template', task.template),
      environment: reference('Environment', agent.manifest.environment),
      owner: agent.manifest.owner,
      risk: agent.manifest.risk,
      parameters: task.parameters,
    },
  };
}

function userEntity(email: string, user: PolicyUser | null): EntityJson {
  return {
    uid: uid('User', email),
    parents: (user?.groups ?? []).map((group) => uid('Group', group)),
    attrs: { email, roles: [...(user?.roles ?? [])] },
  };
}

function toolEntities(tool: RegisteredTool, subject: Subject): EntityJson[] {
  return [
    {
      uid: uid('Tool', tool.ref),
      parents: [uid('ToolServer', tool.server)],
      attrs: { tier: tool.tier, effects: [...tool.effects] },
    },
    { uid: uid('Action', tool.ref), parents: subject.effects.map((effect) => uid('Action', effect)), attrs: {} },
  ];
}

function parse(file: string, text: string): { id: string; json: PolicyJson; source: string }[] {
  const parts = policySetTextToParts(text);
  if (parts.type === 'failure') {
    const [error] = parts.errors;
    const start = error?.sourceLocations?.[0]?.start ?? 0;
    throw invalid(file, lineOf(text, start), [error?.message, error?.help].filter(Boolean).join('; '));
  }
  if (parts.policy_templates.length > 0)
    throw invalid(file, 1, 'policy templates with slots are not accepted here; write permission templates instead');
  return parts.policies.map((source, index) => {
    const answer = policyToJson(source);
    if (answer.type === 'failure')
      throw invalid(file, lineOf(text, text.indexOf(source)), answer.errors[0]?.message ?? 'cannot be read');
    const { tier, id } = answer.json.annotations ?? {};
    const line = lineOf(text, text.indexOf(source));
    if (tier !== undefined && !['1', '2', '3', '4'].includes(tier))
      throw invalid(file, line, `@tier must be "1" to "4", not "${tier}"`);
    return { id: `${file}#${id ?? index}`, json: answer.json, source };
  });
}

function check(
  schema: ReturnType<typeof buildSchema>,
  policies: Map<string, CompiledPolicy>,
  files: ReadonlyMap<string, { cedar: string }>,
): void {
  const answer = validate({
    schema,
    policies: { staticPolicies: Object.fromEntries([...policies].map(([id, { source }]) => [id, source])) },
    validationSettings: { mode: 'strict' },
  });
  if (answer.type === 'failure') throw invalid('(schema)', 1, answer.errors.map(({ message }) => message).join('; '));
  const [error] = answer.validationErrors;
  if (!error) return;
  const [file = '', which = ''] = error.policyId.split('#');
  const text = files.get(file)?.cedar ?? '';
  const parts = text ? policySetTextToParts(text) : undefined;
  const source =
    parts?.type === 'success'
      ? (parts.policies.find((part) => part.includes(`@id("${which}")`)) ?? parts.policies[Number(which)])
      : undefined;
  throw invalid(
    file,
    source ? lineOf(text, text.indexOf(source)) : 1,
    [error.error.message, error.error.help].filter(Boolean).join('; '),
  );
}

function lineOf(text: string, offset: number): number {
  return text.slice(0, Math.max(0, offset)).split('\n').length;
}

function invalid(file: string, line: number, problem: string): GatehouseError {
  return new GatehouseError('bad-request', 'policy.invalid', `Policy ${file}, line ${line}: ${problem}`, {
    extra: { file, line },
  });
}
