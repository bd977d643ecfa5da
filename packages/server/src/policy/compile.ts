import type { Decision, Grantable, Obligations, Task, Tier } from '@gatehouse/protocol';
import { digestJson, sha256Hex } from '../platform/index.ts';
import type { Agent, RegisteredTool, Snapshot } from '../registry/index.ts';
import type { Answer, Environment } from './cedar/index.ts';
import { policyLimits } from './cedar/limits.ts';
import { byTier, handedOnBy, isWhole, narrowest, type Part } from './delegated.ts';
import {
  explainUnmet,
  explainUnmetFor,
  forbidden,
  narrowedAway,
  notPermitted,
  notPermittedTo,
  raisedTo3,
  unmetOf,
} from './explain.ts';
import { grantableOf } from './grantable.ts';
import { type LoadedPolicies, type LoadedPolicy, loadPolicies } from './load.ts';
import { obligationsOf, withApprovers } from './obligations.ts';
import { observing } from './observe-only.ts';
import { isSameAnswer, type Official, type OfficialEngine, officialEngine } from './official.ts';
import { unseenArgument } from './reads.ts';
import { type Case, createRules, type Rule } from './rules.ts';
import { type Subject, subjectsIn } from './schema.ts';
import { isWithin } from './templates.ts';
import type { CompilePolicies, EnginesDiffer, PolicyRequest, PolicySet } from './types.ts';

/**
 * Compiles the policies of a workspace. The compiled engine decides. The official one has validated the policies, and is asked again for
 * a sample of the decisions: one that it would not take is refused, and `enginesDiffer` hears of it.
 */
export const compilePolicies: CompilePolicies = (snapshot, options) => {
  const subjects = subjectsIn(snapshot);
  const loaded = loadPolicies(snapshot, subjects, { validated: options?.validated ?? false });
  const setOf = (policies: LoadedPolicies['policies']) =>
    policySet(
      { ...loaded, policies },
      subjects,
      snapshot,
      options?.enginesDiffer ?? (() => undefined),
      options?.officialEngine ?? officialEngine,
    );
  const observed = [...loaded.policies.values()].filter(({ observeOnly }) => observeOnly);
  if (observed.length === 0) return setOf(loaded.policies);
  const enforced = new Map([...loaded.policies].filter(([, { observeOnly }]) => !observeOnly));
  return observing(setOf(enforced), setOf(loaded.policies), observed, subjects.values());
};

function policySet(
  { policies, schema }: LoadedPolicies,
  subjects: ReadonlyMap<string, Subject>,
  {
    calendars,
    approvalRules,
    servers,
    templates,
    credentialProviders = new Map(),
  }: Pick<Snapshot, 'calendars' | 'approvalRules' | 'servers' | 'templates'> &
    Partial<Pick<Snapshot, 'credentialProviders'>>,
  enginesDiffer: EnginesDiffer,
  official: OfficialEngine,
): PolicySet {
  // In order, so that the one in which things were loaded is not part of the version.
  const written = [...policies.values()].map(({ id, source }) => JSON.stringify([id, source])).sort();
  const approversOf = approversOfTools(servers);
  const credentials = credentialsOf({ servers, templates, credentialProviders });
  const version = digestJson({
    schema,
    policies: sha256Hex(written.join('\n')),
    calendars: Object.fromEntries(calendars),
    // Left out where nobody uses them, so that workspaces without any keep their version.
    ...(approvalRules.size > 0 && { approvalRules: Object.fromEntries(approvalRules) }),
    ...(approversOf.size > 0 && { approvers: Object.fromEntries(approversOf) }),
    // Whoever says yes has seen what the call is made with: where that changes they are asked again.
    ...(Object.keys(credentials).length > 0 && { credentials }),
  });
  const rules = createRules(policies, subjects.values(), official);
  const named = (ids: readonly string[]) => ids.flatMap((id) => policies.get(id) ?? []);

  const refusal = (tool: RegisteredTool, code: string, reason: string, ids: string[] = []): Decision => ({
    effect: 'deny',
    tier: tool.tier,
    code,
    reason,
    policies: ids,
    policyVersion: version,
  });

  /** Undefined: no permit applies, and no forbid. */
  function evaluate(request: PolicyRequest, asked: Case): Decision | undefined {
    const { tool } = request;
    const { rule, subject } = asked;
    const problem = asked.contexts.problem(request.arguments);
    if (problem !== undefined) {
      const reason = `The arguments do not fit the tool: ${problem}. Correct them and call again.`;
      return refusal(tool, 'arguments.invalid', reason);
    }
    for (const { id, reads } of rule.reading) {
      const unseen = unseenArgument(reads, request.arguments, subject.arguments);
      if (unseen === undefined) continue;
      const reason = `Policy ${id} looks at "${unseen}", which ${tool.ref} does not declare with one plain type, so that no policy can compare it. Leave it out, or ask ${request.agent.manifest.owner} (the owner) for another tool.`;
      return refusal(tool, 'policy.unseen-argument', reason, [id]);
    }
    const environment: Environment = {
      principal: asked.principal.uid,
      action: asked.action.uid,
      resource: asked.tool.uid,
      context: asked.contexts.of(request),
      entities: asked.entities,
    };
    const answer = rule.slice.authorize(environment);
    const raised = rule.raising?.slice.authorize(environment);
    if (isCompared(rule) && differs(asked, environment, answer, raised)) {
      const reason =
        'Two engines do not agree on what the policies say of this call, so it is refused. An operator should read the server log and report it.';
      return refusal(tool, 'policy.engines-differ', reason);
    }
    if (answer.errors.length > 0 || (raised && raised.errors.length > 0)) {
      const [failure] = [...answer.errors, ...(raised?.errors ?? [])];
      const reason = `A policy could not be evaluated, so the call is refused: ${failure?.message}`;
      return refusal(tool, 'policy.error', reason);
    }
    if (answer.decision === 'deny' && answer.reason.length === 0) return undefined;
    const raising = raised && raised.reason.length > 0 ? raised : undefined;
    if (tool.tier !== subject.tier) return conclude(tool, answer, raising);
    const known = rule.decisions.get(answer);
    if (known && known.raising === raising) return known.decision;
    const decision = conclude(tool, answer, raising);
    if (rule.decisions.size < policyLimits.answersKept) rule.decisions.set(answer, { raising, decision });
    return decision;
  }

  /** From policies alone, so that it is the same for the same answer. Nobody may change it. */
  function conclude({ ref, tier: own }: RegisteredTool, answer: Answer, raised: Answer | undefined): Decision {
    const determining = named(answer.reason);
    const tier = raisedTier(own, determining);
    const decided = (
      what: ReturnType<typeof byTier>,
      policies: readonly string[],
      obligations?: Obligations,
      grantable?: Grantable,
    ) =>
      Object.freeze<Decision>({
        ...what,
        policies: Object.freeze([...policies]) as string[],
        policyVersion: version,
        ...(obligations && { obligations }),
        ...(grantable && { grantable }),
      });
    if (answer.decision === 'deny') {
      const reason = forbidden(determining);
      return decided({ effect: 'deny', tier, code: 'policy.forbidden', reason }, answer.reason);
    }
    const raising = raised?.reason ?? [];
    const raisers = named(raising);
    const atLeast = raisedTier(tier, raisers);
    const permitted = atLeast === 3 && tier < 3 ? raisedTo3(ref, raisers) : byTier(ref, atLeast);
    const written = obligationsOf([...determining, ...raisers].map(({ json }) => json.annotations));
    const obligations = withApprovers(written, approversOf.get(ref));
    const grantable = permitted.effect === 'needs-approval' ? grantableOf(own, determining, raisers) : undefined;
    return decided(permitted, [...answer.reason, ...raising], obligations, grantable);
  }

  function differs(asked: Case, environment: Environment, answer: Answer, raised: Answer | undefined): boolean {
    const { rule, subject, principal, tool, action } = asked;
    const pairs: [Answer | undefined, Official | undefined][] = [
      [answer, rule.official],
      [raised, rule.raising?.official],
    ];
    for (const [compiled, engine] of pairs) {
      if (!compiled || !engine) continue;
      const official = engine.authorize(environment, [principal, tool, action]);
      if (isSameAnswer(compiled, official)) continue;
      enginesDiffer({ tool: subject.ref, policyVersion: version, compiled, official });
      return true;
    }
    return false;
  }

  function asTask(request: PolicyRequest, agent: Agent, task: Task): Decision {
    const { tool } = request;
    if (task.narrowing && !isWithin(task.narrowing, tool.ref))
      return refusal(tool, 'task.narrowed', narrowedAway(task, tool));
    const asked = rules.forTask(agent, task, tool.ref);
    if (!asked?.rule.permits)
      return refusal(tool, 'policy.no-permit', notPermitted(agent, task, tool, policies.values()));
    const decision = evaluate(request, asked);
    if (decision) return decision;
    asked.unmet ??= unmetOf(asked.rule.candidates, task.parameters);
    return refusal(tool, 'policy.conditions-unmet', explainUnmet(request, task, asked.unmet));
  }

  function asUser(request: PolicyRequest, email: string): Decision {
    const { tool } = request;
    const user = request.user?.email === email ? request.user : null;
    const asked = user ? rules.forUser(user, tool.ref) : undefined;
    if (!user || !asked?.rule.permits)
      return refusal(tool, 'policy.no-permit', notPermittedTo(user, email, tool, policies.values()));
    const decision = evaluate(request, asked);
    if (decision) return decision;
    asked.unmet ??= unmetOf(asked.rule.candidates, {});
    return refusal(tool, 'policy.conditions-unmet', explainUnmetFor(user, request, asked.unmet));
  }

  function decideForAll(request: PolicyRequest, chain: NonNullable<PolicyRequest['chain']>): Decision {
    const { agent, task, tool } = request;
    if (!isWhole({ task, chain })) {
      const reason = `It is not known on whose authority the task ${task.id} acts. Start a new one.`;
      return refusal(tool, 'delegation.chain', reason);
    }
    const own = asTask(request, agent, task);
    if (chain.length === 0 && task.user === null) return own;
    const parts: Part[] = [{ decision: own }];
    for (const link of chain)
      parts.push({
        decision: asTask(request, link.agent, link.task),
        code: 'delegation.chain',
        side: handedOnBy(link),
      });
    if (task.user !== null) parts.push({ decision: asUser(request, task.user), code: 'delegation.user' });
    return narrowest(parts);
  }

  return {
    version,
    mayEverUse({ agent, task, chain = [], user }, tool) {
      if (!isWhole({ task, chain })) return false;
      const links = [{ agent, task }, ...chain];
      return (
        links.every(
          (link) =>
            (!link.task.narrowing || isWithin(link.task.narrowing, tool.ref)) &&
            rules.forTask(link.agent, link.task, tool.ref)?.rule.mayEver === true,
        ) &&
        (task.user === null || (user?.email === task.user && rules.forUser(user, tool.ref)?.rule.mayEver === true))
      );
    },
    everyMask({ agent, task, chain = [], user }, tools) {
      const masks = new Set<string>();
      for (const { ref } of tools) {
        const asked = [{ agent, task }, ...chain].map((link) => rules.forTask(link.agent, link.task, ref));
        if (user) asked.push(rules.forUser(user, ref));
        for (const each of asked) for (const kind of each?.rule.masks ?? []) masks.add(kind);
      }
      return [...masks].sort();
    },
    decide(request) {
      const { agent, task, chain } = request;
      const isOwn = (chain === undefined || chain.length === 0) && task.parent === null && task.user === null;
      return isOwn ? asTask(request, agent, task) : decideForAll(request, chain ?? []);
    },
  };
}

function approversOfTools(servers: Snapshot['servers']): Map<string, string> {
  const found = new Map<string, string>();
  for (const { name, manifest } of servers.values())
    for (const [tool, { approvers }] of Object.entries(manifest.tools))
      if (approvers !== undefined) found.set(`${name}/${tool}`, approvers);
  return found;
}

/** All that decides what calls are made with, beside what the task is. */
function credentialsOf({
  servers,
  templates,
  credentialProviders,
}: Pick<Snapshot, 'servers' | 'templates' | 'credentialProviders'>): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const { name, manifest } of servers.values())
    if (manifest.transport.credential) found[`server ${name}`] = manifest.transport.credential;
  for (const { name, credentials } of templates.values()) if (credentials) found[`template ${name}`] = credentials;
  for (const { name, from } of credentialProviders.values()) found[`provider ${name}`] = from;
  return found;
}

function isCompared(rule: Rule): boolean {
  if (++rule.asked < rule.comparedNext) return false;
  rule.comparedNext = Math.min(rule.comparedNext * 10, rule.comparedNext + policyLimits.comparedEvery);
  return true;
}

function raisedTier(tier: Tier, determining: readonly LoadedPolicy[]): Tier {
  let raised: number = tier;
  for (const { json } of determining) raised = Math.max(raised, Number(json.annotations?.tier ?? 0));
  return raised as Tier;
}
