import type { TrustRuleManifest, WorkloadManifest } from '@gatehouse/protocol';
import { rulesOverlap } from './conditions.ts';
import { gatewayProblems } from './gateway.ts';
import { issuerUrlOf, presetOf } from './presets.ts';

/** Rules are compared pair by pair; with so many that takes a second. */
export const MAX_TRUST_RULES = 2_000;
const MAX_CONDITIONS = 30;

export interface RuleProblem {
  rule: string;
  path: string;
  message: string;
}

interface Known {
  rules: readonly TrustRuleManifest[];
  hasAgent(name: string): boolean;
  hasWorkload(name: string): boolean;
  hasTrustDomain(name: string): boolean;
}

/** What keeps trust rules from being applied. What is merely unwise is a finding of `gatehouse trust lint`. */
export function checkTrustRules({ rules, ...known }: Known): RuleProblem[] {
  const problems = rules.flatMap((rule) =>
    ruleProblems(rule, known).map(([path, message]) => ({ rule: rule.name, path, message })),
  );
  if (rules.length > MAX_TRUST_RULES)
    problems.push({
      rule: '',
      path: '',
      message: `There would be ${rules.length} trust rules; ${MAX_TRUST_RULES} are the most.`,
    });
  return problems.length > 0 ? problems : overlaps(rules);
}

function ruleProblems(rule: TrustRuleManifest, known: Omit<Known, 'rules'>): [string, string][] {
  const { issuer, agent, workload, claims } = rule;
  const problems: [string, string][] = [];
  if ((agent === undefined) === (workload === undefined))
    problems.push(['', 'A rule stands for exactly one agent or one workload: give `agent` or `workload`.']);
  if (agent !== undefined && !known.hasAgent(agent))
    problems.push(['agent', `There is no Agent "${agent}". Add its manifest to this apply, or correct the name.`]);
  if (workload !== undefined && !known.hasWorkload(workload))
    problems.push([
      'workload',
      `There is no Workload "${workload}". Add its manifest to this apply, or correct the name.`,
    ]);
  if (Object.keys(claims).length > MAX_CONDITIONS)
    problems.push(['claims', `A rule has at most ${MAX_CONDITIONS} conditions.`]);
  if (issuer.type === 'oidc') {
    const url = issuerUrlOf(issuer);
    if (url === undefined)
      problems.push(['issuer.url', 'Whose tokens? Give the issuer exactly as it stands in their `iss`.']);
    else problems.push(...urlProblems('issuer.url', url, issuer.allowPrivateAddress || issuer.jwks !== undefined));
  }
  if (issuer.type === 'aws-iam' && issuer.endpoint !== undefined)
    problems.push(...urlProblems('issuer.endpoint', issuer.endpoint, issuer.allowPrivateAddress));
  if (issuer.type === 'spiffe' && !known.hasTrustDomain(issuer.trustDomain))
    problems.push([
      'issuer.trustDomain',
      `There is no TrustDomain "${issuer.trustDomain}". Add its manifest, so that its SVIDs can be verified.`,
    ]);
  for (const reserved of ['iss', 'aud', 'exp', 'nbf', 'iat', 'jti'])
    if (Object.hasOwn(claims, reserved))
      problems.push([
        `claims.${reserved}`,
        'It is checked anyway: the issuer by `issuer`, the audience by `audience`, the times always.',
      ]);
  const { identifies } = presetOf(issuer);
  if (!identifies.some((set) => set.every((claim) => Object.hasOwn(claims, claim)))) {
    const sets = identifies.map((set) => set.join(' with ')).join(', or ');
    problems.push(['claims', `Anybody whom this issuer knows would be let in. Say who it must be: ${sets}.`]);
  }
  return problems;
}

function urlProblems(path: string, text: string, mayBePlain: boolean): [string, string][] {
  const url = URL.parse(text);
  if (url === null || url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    return [[path, 'It must be an address without user, query and fragment.']];
  if (url.protocol === 'http:' && !mayBePlain)
    return [[path, 'It must be https. http is taken only with `allowPrivateAddress`, inside your own network.']];
  return [];
}

/**
 * INVARIANT: no proof can satisfy two applied rules that stand for different principals. Who it is would depend on the order in which rules
 * are looked at.
 */
function overlaps(rules: readonly TrustRuleManifest[]): RuleProblem[] {
  const problems: RuleProblem[] = [];
  for (const [at, one] of rules.entries()) {
    for (const other of rules.slice(0, at)) {
      if (one.agent === other.agent && one.workload === other.workload) continue;
      if (!rulesOverlap(one, other)) continue;
      problems.push({
        rule: one.name,
        path: 'claims',
        message: `One token could match this rule and "${other.name}", which stands for ${other.agent ?? other.workload}. Give both different values of one claim.`,
      });
      if (problems.length >= 50) return problems;
    }
  }
  return problems;
}

export function workloadProblems(
  workload: WorkloadManifest,
  known: {
    hasEnvironment(name: string): boolean;
    hasPerson(email: string): boolean;
    environmentOf(agent: string): string | undefined;
    serverEnvironments(name: string): readonly string[] | undefined;
    hasTemplate(name: string): boolean;
  },
): [string, string][] {
  if (workload.state === 'retired') return [];
  const problems: [string, string][] = [];
  if (!known.hasEnvironment(workload.environment))
    problems.push([
      'environment',
      `There is no Environment "${workload.environment}". Add its manifest, or correct the name.`,
    ]);
  if (!known.hasPerson(workload.owner))
    problems.push(['owner', `There is no Person "${workload.owner}". A workload is owned by a person.`]);
  return [...problems, ...startsProblems(workload, known), ...gatewayProblems(workload, known)];
}

/** Asked again when an agent moves, whoever moves it. */
export function startsProblems(
  workload: WorkloadManifest,
  { environmentOf }: { environmentOf(agent: string): string | undefined },
): [string, string][] {
  if (workload.state === 'retired') return [];
  return workload.starts.flatMap((agent, at): [string, string][] => {
    const environment = environmentOf(agent);
    if (environment === undefined) return [[`starts[${at}]`, `There is no Agent "${agent}".`]];
    return environment === workload.environment
      ? []
      : [[`starts[${at}]`, `The agent "${agent}" is of ${environment}, and environments do not cross.`]];
  });
}
