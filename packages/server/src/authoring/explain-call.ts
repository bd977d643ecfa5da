import {
  type ApprovalRuleManifest,
  type Decision,
  type ExplainedPolicy,
  type PolicyExplanation,
  type ProviderAbilities,
  residualWords,
} from '@gatehouse/protocol';
import { isHandOut } from '../enforcement/index.ts';
import { createTracer, type PolicyRequest, type PolicySet, type Tracer } from '../policy/index.ts';
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
  /** What a provider that is declared can do. */
  abilitiesOf: (provider: string) => ProviderAbilities | undefined = () => undefined,
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
      tool: tool?.ref ?? ('ref' in supposed ? supposed.ref : ''),
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
    ...madeWith(workspace, request, abilitiesOf),
    next: whatNext(workspace, decision, supposed, sides),
  };
}

/** The credential that the gate adds to the call, or that the agent is handed. */
function madeWith(
  workspace: Authored,
  request: PolicyRequest | undefined,
  abilitiesOf: (provider: string) => ProviderAbilities | undefined,
): Pick<PolicyExplanation, 'credential' | 'handOut'> {
  if (!request) return { credential: null, handOut: null };
  const { tool, task, chain = [] } = request;
  if (!isHandOut(tool)) {
    const tasks = [task, ...chain.map((link) => link.task)];
    return { credential: credentialOf(workspace, tool.server, tasks), handOut: null };
  }
  const {
    scope,
    seconds,
    clamped = [],
  } = request.arguments as unknown as {
    scope: Record<string, unknown>;
    seconds: number;
    clamped?: string[];
  };
  const provider = tool.ref.slice(0, -tool.name.length);
  const abilities = abilitiesOf(provider);
  return {
    credential: { provider, scope, problem: null },
    handOut: abilities ? { seconds, clamped, residual: residualWords(abilities, seconds) } : null,
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
  const isDirect = isHandOut(tool);
  if (effect === 'needs-approval') {
    const named = (obligations?.approvers ?? []).flatMap((name) => approvalRules.get(name) ?? []);
    const [what, it] = isDirect ? ['Ask for it', 'exactly this credential'] : ['Call it', 'this exact call'];
    if (named.length === 0) return [`${what}; a person who may approve is then asked for ${it}.`];
    return named.map((rule) => `${what}; by the rule "${rule.name}" ${it} then needs ${ruleInWords(rule)}.`);
  }
  if (code === 'task.narrowed') return [reason];
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
    if (isDirect && kind === 'user')
      return [
        `${who(kind, name)}: no policy on them permits ${tool.ref}, and no group can allow it. Ask an admin for one.`,
      ];
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
