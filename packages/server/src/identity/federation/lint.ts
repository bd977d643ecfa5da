import type { ClaimCondition, TrustFinding, TrustRuleManifest } from '@gatehouse/protocol';
import { presetOf } from '../../registry/index.ts';

/** What is allowed in a rule and still unwise, for a person to look at. What must not be is refused at apply. */
export function lintTrustRule(rule: TrustRuleManifest): TrustFinding[] {
  const { issuer, claims } = rule;
  const findings: TrustFinding[] = [];
  const find = (code: string, message: string) => findings.push({ rule: rule.name, code, message });
  for (const [name, condition] of Object.entries(claims)) {
    const pattern = patternOf(condition);
    if (pattern === undefined) continue;
    find(
      'pattern',
      `${name} is a pattern: everything that fits ${pattern} is let in. Write the exact value where there is one.`,
    );
    if (/^\*+$/.test(pattern))
      find('pattern-any', `${name} may be anything: the condition only asks that it is there.`);
    else if (/^\*/.test(pattern))
      find('pattern-start', `${name} may begin with anything, and beginnings say whose it is.`);
    if (pattern.includes('**'))
      find('pattern-across', `** in ${name} also stands for : and /, and so crosses into other parts of the value.`);
  }
  if (rule.audience !== undefined)
    find(
      'audience',
      `Tokens for ${rule.audience} are taken: whoever else is given one can present it here. Leave audience out, and ask the issuer for tokens for this server.`,
    );
  if (issuer.type === 'oidc') {
    if (issuer.preset === 'github-actions') githubFindings(rule, find);
    if (issuer.preset === 'gitlab') gitlabFindings(rule, find);
    if (issuer.preset === 'azure' && /\/(common|organizations|consumers)\b/.test(issuer.url ?? ''))
      find('azure-tenant', 'The issuer is that of every tenant. Name your tenant.');
    if (issuer.allowPrivateAddress)
      find('private-address', 'The issuer is called at private addresses, also without TLS.');
    if (issuer.jwks !== undefined)
      find(
        'static-keys',
        'Its keys stand in the rule: a key that the issuer withdraws stays good here until you remove it.',
      );
  }
  if (issuer.type === 'aws-iam') {
    if (issuer.endpoint !== undefined)
      find('aws-endpoint', `${issuer.endpoint} says who callers are, in place of AWS.`);
    if (Object.hasOwn(claims, 'role') && !Object.hasOwn(claims, 'roleId'))
      find(
        'aws-role',
        'A role that is deleted and made anew has the same name. Add roleId (AROA…) to mean this one only.',
      );
  }
  if ((rule.maxAgeSeconds ?? 0) > presetOf(issuer).maxAgeSeconds)
    find('max-age', `Tokens of up to ${rule.maxAgeSeconds} s are taken; a stolen one is good for as long.`);
  return findings;
}

type Find = (code: string, message: string) => void;

function githubFindings({ claims }: TrustRuleManifest, find: Find): void {
  const sub = claims.sub;
  const pattern = sub === undefined ? undefined : patternOf(sub);
  if (pattern !== undefined && !/^repo:[^*/]+\//.test(pattern))
    find('github-owner', 'sub does not name the owner of the repository: write repo:OWNER/REPOSITORY:….');
  const saysWhat = typeof sub === 'string' || (pattern !== undefined && /:(ref|environment):[^*]/.test(pattern));
  const isPinned = ['ref', 'environment', 'job_workflow_ref'].some((name) => Object.hasOwn(claims, name));
  if (!saysWhat && !isPinned)
    find(
      'github-ref',
      'Every branch, and every pull request of a branch, is let in. Ask for ref, environment or job_workflow_ref.',
    );
  const text = pattern ?? (typeof sub === 'string' ? sub : '');
  if (claims.event_name === 'pull_request' || /:pull_request$/.test(text))
    find('github-pull-request', 'Pull requests are let in: whoever may open one runs code as this agent.');
  if (!Object.hasOwn(claims, 'repository_id') && !Object.hasOwn(claims, 'repository_owner_id'))
    find(
      'github-id',
      'Names of repositories and owners can be taken over after a rename. Add repository_id or repository_owner_id.',
    );
}

function gitlabFindings({ claims }: TrustRuleManifest, find: Find): void {
  const sub = claims.sub;
  if (
    typeof sub !== 'string' &&
    !Object.hasOwn(claims, 'ref') &&
    claims.ref_protected !== 'true' &&
    !Object.hasOwn(claims, 'environment')
  )
    find('gitlab-ref', 'Every branch is let in. Ask for ref, environment, or ref_protected: "true".');
}

const patternOf = (condition: ClaimCondition): string | undefined =>
  typeof condition === 'object' && 'pattern' in condition ? condition.pattern : undefined;
