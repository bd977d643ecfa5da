import type { Decision, Task, Tier } from '@gatehouse/protocol';
import { digestJson } from '../platform/index.ts';
import type { Agent, Snapshot } from '../registry/index.ts';
import type { Answer } from './cedar/index.ts';
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
} from './explain.ts';
import { type LoadedPolicies, type LoadedPolicy, loadPolicies } from './load.ts';
import { isSameAnswer, type Official, type OfficialEngine, officialEngine } from './official.ts';
import { unseenArgument } from './reads.ts';
import { type Case, createRules, environmentOf } from './rules.ts';
import { type Subject, subjectsOf } from './schema.ts';
import { addSituation } from './situation.ts';
import { isWithin } from './templates.ts';
import type { CompilePolicies, EnginesDiffer, PolicyRequest, PolicySet } from './types.ts';
import { toContext } from './values.ts';

/**
 * Compiles the policies of a workspace. The compiled engine decides. The official one has validated the policies, and is asked again for
 * a sample of the decisions: one that it would not take is refused, and `enginesDiffer` hears of it.
 */
export const compilePolicies: CompilePolicies = (snapshot, options) => {
  const subjects = new Map<string, Subject>();
  for (const server of snapshot.servers.values())
    for (const subject of subjectsOf(server)) subjects.set(subject.ref, subject);
  return policySet(
    loadPolicies(snapshot, subjects, { validated: options?.validated ?? false }),
    subjects,
    snapshot.calendars,
    options?.enginesDiffer ?? (() => undefined),
    options?.officialEngine ?? officialEngine,
  );
};

function policySet(
  { policies, schema }: LoadedPolicies,
  subjects: ReadonlyMap<string, Subject>,
  calendars: Snapshot['calendars'],
  enginesDiffer: EnginesDiffer,
  official: OfficialEngine,
): PolicySet {
  // As an object, so that the order in which things were loaded is not part of the version.
  const version = digestJson({
    schema,
    policies: Object.fromEntries([...policies].map(([id, { source }]) => [id, source])),
    calendars: Object.fromEntries(calendars),
  });
  const rules = createRules(policies, subjects.values(), official);
  const named = (ids: readonly string[]) => ids.flatMap((id) => policies.get(id) ?? []);

  const evaluate = (request: PolicyRequest, asked: Case | undefined, explain: Explain): Decision => {
    const { tool } = request;
    const result = (effect: Decision['effect'], tier: Tier, code: string, reason: string, ids: string[]): Decision => ({
      effect,
      tier,
      code,
      reason,
      policies: ids,
      policyVersion: version,
    });
    if (!asked?.rule.permits) return result('deny', tool.tier, 'policy.no-permit', explain.noPermit(), []);
    const { rule, subject } = asked;
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
    for (const { id, reads } of rule.reading) {
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
    addSituation(context.context, request.situation, rule.situation);
    const environment = environmentOf(asked, context.context);
    const isCompared = rule.asked++ % policyLimits.comparedEvery === 0;
    const differ = (answer: Answer, engine: Official) => {
      if (!isCompared) return false;
      const official = engine.authorize(environment, [asked.principal, asked.tool, asked.action]);
      if (isSameAnswer(answer, official)) return false;
      enginesDiffer({ tool: tool.ref, policyVersion: version, compiled: answer, official });
      return true;
    };
    const answer = rule.slice.authorize(environment);
    const raised = rule.raising?.slice.authorize(environment);
    if (differ(answer, rule.official) || (raised && rule.raising && differ(raised, rule.raising.official)))
      return result(
        'deny',
        tool.tier,
        'policy.engines-differ',
        'Two engines do not agree on what the policies say of this call, so it is refused. An operator should read the server log and report it.',
        [],
      );
    const [failure] = raised ? [...answer.errors, ...raised.errors] : answer.errors;
    if (failure) {
      return result(
        'deny',
        tool.tier,
        'policy.error',
        `A policy could not be evaluated, so the call is refused: ${failure.message}`,
        [],
      );
    }
    const determining = named(answer.reason);
    const tier = raisedTier(tool.tier, determining);
    if (answer.decision === 'deny') {
      if (determining.length > 0)
        return result('deny', tier, 'policy.forbidden', forbidden(determining), answer.reason);
      return result('deny', tier, 'policy.conditions-unmet', explain.unmet(rule.candidates), []);
    }
    if (!raised || raised.reason.length === 0)
      return { ...byTier(tool.ref, tier), policies: answer.reason, policyVersion: version };
    const raisers = named(raised.reason);
    const policies = [...answer.reason, ...raised.reason];
    const atLeast = raisedTier(tier, raisers);
    return {
      ...(atLeast === 3 && tier < 3 ? raisedTo3(tool.ref, raisers) : byTier(tool.ref, atLeast)),
      policies,
      policyVersion: version,
    };
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
    return evaluate(request, rules.forTask(agent, task, tool.ref), {
      noPermit: () => notPermitted(agent, task, tool, policies.values()),
      unmet: (candidates) => explainUnmet({ task, tool, arguments: request.arguments }, candidates),
    });
  };

  const asUser = (request: PolicyRequest, email: string): Decision => {
    const { tool } = request;
    const user = request.user?.email === email ? request.user : null;
    return evaluate(request, user ? rules.forUser(user, tool.ref) : undefined, {
      noPermit: () => notPermittedTo(user, email, tool, policies.values()),
      unmet: (candidates) => (user ? explainUnmetFor(user, request, candidates) : ''),
    });
  };

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
      const own = asTask(request, { agent, task });
      if (chain.length === 0 && task.user === null) return own;
      const parts: Part[] = [{ decision: own }];
      for (const link of chain)
        parts.push({ decision: asTask(request, link), code: 'delegation.chain', side: handedOnBy(link) });
      if (task.user !== null) parts.push({ decision: asUser(request, task.user), code: 'delegation.user' });
      return narrowest(parts);
    },
  };
}

/** How to explain a refusal to whoever is asked about. */
interface Explain {
  noPermit(): string;
  unmet(candidates: LoadedPolicy[]): string;
}

function raisedTier(tier: Tier, determining: readonly LoadedPolicy[]): Tier {
  let raised: number = tier;
  for (const { json } of determining) raised = Math.max(raised, Number(json.annotations?.tier ?? 0));
  return raised as Tier;
}
