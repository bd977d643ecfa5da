import type { ExplainedClause, ExplainedPolicy, PolicyExplanation } from '@gatehouse/protocol';
import { IconBan, IconCircleCheck, IconCircleX, IconHelpCircle, IconHourglassHigh } from '@tabler/icons-react';
import { Badge, TierBadge } from '../../ui/badge.tsx';
import { Card, Fact, Facts, Section } from '../../ui/page.tsx';
import { PlainText } from '../../ui/text.tsx';
import { Scope } from '../credentials/scope.tsx';
import classes from './explanation.module.css';

const effects = {
  allow: { label: 'Allowed', hue: 'green', icon: IconCircleCheck },
  deny: { label: 'Refused', hue: 'red', icon: IconBan },
  'needs-approval': { label: 'Needs approval', hue: 'amber', icon: IconHourglassHigh },
} as const;

const sides = { task: 'Task of', 'handed-on-by': 'Handed on by', user: 'Person' } as const;

/** The decision, what can be done about it, and each policy, condition by condition. */
export function Explanation({ explanation }: { explanation: PolicyExplanation }) {
  const { decision, recorded, next, tier, credential, handOut } = explanation;
  const { label, hue, icon } = effects[decision.effect];
  return (
    <>
      <Section title="Decision">
        <Card>
          <div className={classes.decision} role="status">
            <Badge hue={hue} icon={icon}>
              {label}
            </Badge>
            <TierBadge tier={decision.tier} />
            <code>{decision.code}</code>
            <p>
              <PlainText text={decision.reason} />
            </p>
          </div>
          <Facts>
            {next.map((each) => (
              <Fact key={each} name="What can be done">
                <PlainText text={each} />
              </Fact>
            ))}
            {tier.raisedBy.map(({ policy, tier: raised, reason }) => (
              <Fact key={policy} name="Raised">
                to tier {raised} by <code>{policy}</code> {reason && <PlainText text={reason} />}
              </Fact>
            ))}
            {credential && (
              <Fact name={handOut ? 'Handed to the agent' : 'Made with'}>
                {credential.problem === null ? (
                  <>
                    a credential of {credential.provider} that may <Scope scope={credential.scope} />
                    {handOut && ` for ${handOut.seconds} s. ${[...handOut.clamped, handOut.residual].join('. ')}`}
                  </>
                ) : (
                  <>
                    nothing, so that it is refused: <PlainText text={credential.problem} />
                  </>
                )}
              </Fact>
            )}
            {recorded && (
              <Fact name="As it was decided then">
                {effects[recorded.effect as keyof typeof effects]?.label ?? recorded.effect}{' '}
                <code>{recorded.code}</code> <PlainText text={recorded.reason} />
              </Fact>
            )}
          </Facts>
        </Card>
      </Section>
      {explanation.sides.map(({ kind, name, policies }) => (
        <Section key={`${kind} ${name}`} title={`${sides[kind]} ${name}`} count={policies.length}>
          {policies.length === 0 && (
            <p className="gh-quiet">No policy is about this call, so that nothing permits it.</p>
          )}
          <div className={classes.policies}>
            {/* What applies decides; the rest is there to be read after it. */}
            {policies
              .toSorted((a, b) => Number(b.applies) - Number(a.applies))
              .map((policy) => (
                <Policy key={policy.id} policy={policy} />
              ))}
          </div>
        </Section>
      ))}
    </>
  );
}

const policyEffects = {
  permit: { label: 'permits', hue: 'green' },
  forbid: { label: 'forbids', hue: 'red' },
  raise: { label: 'raises', hue: 'amber' },
} as const;

function Policy({ policy: { id, effect, applies, tier, reason, clauses } }: { policy: ExplainedPolicy }) {
  const { label, hue } = policyEffects[effect];
  return (
    <article className={classes.policy} data-applies={applies} aria-label={id}>
      <header>
        <code>{id}</code>
        <Badge hue={applies ? hue : 'gray'}>{applies ? label : `would have ${past[effect]}`}</Badge>
        {tier !== null && <TierBadge tier={tier} />}
        {!applies && <span className="gh-quiet">a condition does not hold</span>}
      </header>
      {reason && (
        <p>
          <PlainText text={reason} />
        </p>
      )}
      {clauses.length === 0 ? (
        <p className="gh-quiet">It has no condition.</p>
      ) : (
        <ul>
          {clauses.map((clause) => (
            <Clause key={clause.cedar} clause={clause} />
          ))}
        </ul>
      )}
    </article>
  );
}

const past = { permit: 'permitted it', forbid: 'forbidden it', raise: 'raised it' } as const;

function Clause({ clause: { cedar, words, holds, error, values } }: { clause: ExplainedClause }) {
  const seen = Object.entries(values);
  return (
    <li>
      {holds === null ? (
        <IconHelpCircle size={16} color="var(--gh-quiet)" role="img" aria-label="Not looked at" />
      ) : holds ? (
        <IconCircleCheck size={16} color="var(--gh-green-fg)" role="img" aria-label="Holds" />
      ) : (
        <IconCircleX size={16} color="var(--gh-red-fg)" role="img" aria-label="Does not hold" />
      )}
      <div>
        <PlainText text={words} />
        <code>
          <PlainText text={cedar} mono />
        </code>
        {seen.map(([path, value]) => (
          <small key={path}>
            <code>{path}</code> = <PlainText text={JSON.stringify(value) ?? 'nothing'} mono />
          </small>
        ))}
        {error && (
          <small className={classes.error}>
            <PlainText text={error} />
          </small>
        )}
      </div>
    </li>
  );
}
