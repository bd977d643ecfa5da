import type { ApprovalRuleManifest, Decision, ExplainedPolicy, PolicyExplanation } from '@gatehouse/protocol';
import { createTracer, type PolicySet, type Tracer } from '../policy/index.ts';
import { credentialOf } from '../registry/index.ts';
import { decideSupposed, type Supposed } from './suppose.ts';
import type { Authored } from './workspace.ts';

/** Templates and groups that a refusal names at most. */
const SHOWN = 8;

const tracers = new WeakMap<Authored['policies'], { of: Authored; tracer: Tracer }>();

/** Made once for a version of the workspace. */
function tracerOf(workspace: Authored): Tracer {
  const known = tracers.get(workspace.policies);
  if (known?.of === workspace) return known.tracer;
  const tracer = createTracer(workspace);
  tracers.set(workspace.policies, { of: workspace, tracer });
  return tracer;
}

/** Decides a call as it would be decided now, and says why and what can be done. Nothing is recorded, and nothing done. */
export function explainCall(
  workspace: Authored,
  set: PolicySet,
  supposed: Supposed,
  recorded: Decision | null = null,
): PolicyExplanation {
  const decision = decideSupposed(set, supposed);
  const request = 'request' in supposed ? supposed.request : undefined;
  const sides = request ? tracerOf(workspace).trace(request) : [];
  const tool = request?.tool ?? ('refused' in supposed ? supposed.tool : null);
  const applied = sides.flatMap(({ policies }) => policies).filter(({ applies }) => applies);
  return {
    call: {
      agent: request?.agent.name ?? '',
      template: request?.task.template ?? '',
      environment: request?.task.environment ?? '',
      user: request?.task.user ?? null,
      tool: tool?.ref ?? '',
      arguments: request?.arguments ?? null,
    },
    decision: { ...decision, policies: [...decision.policies] },
    recorded,
    sides,
    tier: {
      tool: tool?.tier ?? 4,
      raisedBy: applied.flatMap(({ id, effect, tier, reason }) =>
        effect !== 'forbid' && tier !== null && tier > (tool?.tier ?? 4) ? [{ policy: id, tier, reason }] : [],
      ),
    },
    credential: request
      ? credentialOf(workspace, request.tool.server, [request.task, ...(request.chain ?? []).map(({ task }) => task)])
      : null,
    next: whatNext(workspace, decision, supposed, sides),
  };
}

function whatNext(
  { templates, approvalRules }: Authored,
  { effect, code, reason, obligations }: Decision,
  supposed: Supposed,
  sides: PolicyExplanation['sides'],
): string[] {
  if (effect === 'allow') return [];
  if (!('request' in supposed)) return [reason];
  const { tool, task, agent } = supposed.request;
  if (effect === 'needs-approval') {
    const named = (obligations?.approvers ?? []).flatMap((name) => approvalRules.get(name) ?? []);
    if (named.length === 0) return ['Call it; a person who may approve is then asked for this exact call.'];
    return named.map((rule) => `Call it; by the rule "${rule.name}" this exact call then needs ${ruleInWords(rule)}.`);
  }
  if (code === 'tier.prohibited')
    return [`No approval can allow ${tool.ref}. An operator gives its tier in the manifest of ${tool.server}.`];
  const forbidding = sides.flatMap(({ policies }) =>
    policies.filter((each) => each.effect === 'forbid' && each.applies),
  );
  if (forbidding.length > 0)
    return forbidding.map(({ id, clauses, reason: why }) => {
      const because = clauses.map(({ words }) => words).join(', and ');
      return `Policy ${id} forbids it${because ? ` because ${because}` : ''}${why ? ` (${why})` : ''}. Change that, or ask who looks after the policy.`;
    });
  const lacking = sides.filter(({ policies }) => !policies.some((each) => each.effect === 'permit' && each.applies));
  return lacking.flatMap(({ kind, name, policies }) => {
    const permits = policies.filter((each) => each.effect === 'permit');
    if (permits.length > 0) return permits.slice(0, SHOWN).map((permit) => `${who(kind, name)}: ${unmet(permit)}`);
    if (kind === 'user')
      return [`${who(kind, name)}: no group of theirs allows ${tool.ref}. Ask an admin to add them to one that does.`];
    const others = [...templates.values()].filter(
      ({ name: each, allow }) => each !== task.template && allow.some(({ tools }) => tools?.includes(tool.ref)),
    );
    const instead =
      others.length > 0
        ? `Start the task under ${others
            .slice(0, SHOWN)
            .map((each) => each.name)
            .join(' or ')}, or ask`
        : 'Ask';
    return [
      `${who(kind, name)}: template "${task.template}" does not allow ${tool.ref}. ${instead} ${agent.manifest.owner} (the owner) to add it: \`- tools: [${tool.ref}]\`.`,
    ];
  });
}

const who = (kind: string, name: string) =>
  ({ task: 'The task', user: name, 'handed-on-by': `Agent ${name}, which handed it on` })[kind] ?? name;

function unmet({ id, clauses }: ExplainedPolicy): string {
  const missing = clauses.filter(({ holds }) => holds !== true);
  return `${id} would permit it if ${missing.map(({ words }) => words).join(', and ')}.`;
}

function ruleInWords({ steps, order }: ApprovalRuleManifest): string {
  const each = steps.map(
    ({ approve, from, distinct }) => `${approve} of ${from.join(', ')}${distinct ? ' (each for another of them)' : ''}`,
  );
  return each.join(order === 'serial' ? ', then ' : ', and ');
}
