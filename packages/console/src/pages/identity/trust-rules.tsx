import type { ClaimCondition, TrustRuleManifest, TrustRuleView } from '@gatehouse/protocol';
import { Skeleton } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { plural } from '../../lib/words.ts';
import { Badge } from '../../ui/badge.tsx';
import { Failure } from '../../ui/page.tsx';
import { When } from '../../ui/when.tsx';
import classes from './identity.module.css';

interface TrustRulesProps {
  rules: TrustRuleView[] | undefined;
  error: unknown;
  retry: () => void;
}

export function TrustRules({ rules, error, retry }: TrustRulesProps) {
  if (error && !rules) return <Failure error={error} retry={retry} />;
  if (!rules) return <Skeleton height={160} radius="md" />;
  return (
    <div className={classes.stack}>
      {rules.map((rule) => (
        <Rule key={rule.manifest.name} rule={rule} />
      ))}
    </div>
  );
}

function Rule({ rule: { manifest, findings, lastUsedAt, uses } }: { rule: TrustRuleView }) {
  const { name, description, issuer, audience, claims, agent, workload, state } = manifest;
  return (
    <article className={classes.card} aria-label={name}>
      <div className={classes.cardHead}>
        <h3>{name}</h3>
        <Badge hue="gray">{issuerKind(issuer)}</Badge>
        {state === 'suspended' && <Badge hue="amber">Suspended</Badge>}
        <span className="gh-quiet">
          {lastUsedAt === null ? (
            'never used'
          ) : (
            <>
              {plural(uses, 'time')}, last <When at={lastUsedAt} as="relative" />
            </>
          )}
        </span>
      </div>
      {description && <p>{description}</p>}
      <dl className={classes.claims}>
        <dt>Stands for</dt>
        <dd>
          {agent !== undefined ? (
            <Link to="/agents/$name/identity" params={{ name: agent }} className="gh-link">
              agent {agent}
            </Link>
          ) : (
            <>workload {workload}</>
          )}
        </dd>
        <dt>Issuer</dt>
        <dd>
          <code>{issuerOf(issuer)}</code>
        </dd>
        {audience !== undefined && (
          <>
            <dt>Audience</dt>
            <dd>
              <code>{audience}</code>
            </dd>
          </>
        )}
        {Object.entries(claims).map(([claim, condition]) => (
          <Claim key={claim} claim={claim} condition={condition} />
        ))}
      </dl>
      {findings.map(({ code, message }) => (
        <div key={`${code} ${message}`} className={classes.finding} role="note">
          <IconAlertTriangle size={15} aria-hidden />
          <span>
            {message} <code>{code}</code>
          </span>
        </div>
      ))}
    </article>
  );
}

function Claim({ claim, condition }: { claim: string; condition: ClaimCondition }) {
  const [words, value] =
    typeof condition !== 'object'
      ? ['is', String(condition)]
      : 'pattern' in condition
        ? ['fits', condition.pattern]
        : ['contains', condition.contains];
  return (
    <>
      <dt>
        <code>{claim}</code>
      </dt>
      <dd>
        {words} <code>{value}</code>
      </dd>
    </>
  );
}

type Issuer = TrustRuleManifest['issuer'];

function issuerKind(issuer: Issuer): string {
  if (issuer.type === 'aws-iam') return 'AWS IAM';
  if (issuer.type === 'spiffe') return 'SPIFFE';
  const presets = {
    'github-actions': 'GitHub Actions',
    gitlab: 'GitLab',
    kubernetes: 'Kubernetes',
    gcp: 'Google Cloud',
    azure: 'Azure',
  };
  return issuer.preset === undefined ? 'OpenID Connect' : presets[issuer.preset];
}

function issuerOf(issuer: Issuer): string {
  if (issuer.type === 'spiffe') return `spiffe://${issuer.trustDomain}`;
  if (issuer.type === 'aws-iam') return issuer.endpoint ?? 'sts.amazonaws.com';
  return issuer.url ?? 'the issuer of the preset';
}
