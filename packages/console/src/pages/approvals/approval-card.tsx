import type { Approval } from '@gatehouse/protocol';
import { Link } from '@tanstack/react-router';
import { lazy, Suspense } from 'react';
import { actorName } from '../../lib/words.ts';
import { ApprovalBadge, Declared, EnvironmentBadge, TierBadge } from '../../ui/badge.tsx';
import { Fact, Facts } from '../../ui/page.tsx';
import { Arguments, Identifier, PlainText } from '../../ui/text.tsx';
import { Warning } from '../../ui/warning.tsx';
import { TimeLeft, When } from '../../ui/when.tsx';
import classes from './approval.module.css';
import { ConfirmOnDevice } from './confirm-on-device.tsx';
import { Decide } from './decide.tsx';
import { DigestCheck } from './digest-check.tsx';
import { Progress } from './progress.tsx';
import { Risk } from './risk.tsx';

const Review = lazy(() => import('./review.tsx').then(({ Review }) => ({ default: Review })));

/** Everything that a yes binds, in full: what is not on this card is not what is approved. */
export function ApprovalCard({ approval, linked = true }: { approval: Approval; linked?: boolean }) {
  const { id, tool, operation, state } = approval;
  return (
    <article className={classes.card} data-state={state} aria-labelledby={`${id}-title`}>
      <header className={classes.head}>
        <h3 id={`${id}-title`}>
          {linked ? (
            <Link to="/approvals/$id" params={{ id }} className="gh-mono" data-row-link="">
              {tool}
            </Link>
          ) : (
            <span className="gh-mono">{tool}</span>
          )}
        </h3>
        <TierBadge tier={approval.decision.tier} />
        <EnvironmentBadge name={approval.environment} />
        <ApprovalBadge state={state} />
        {state === 'pending' && (
          <span className={classes.left}>
            <TimeLeft until={approval.expiresAt} />
          </span>
        )}
      </header>
      <div className={classes.body}>
        <div className={classes.action}>
          {operation !== 'tools/call' && <p className={classes.operation}>{operation}</p>}
          <Arguments value={approval.arguments} />
          <p className={classes.reason}>{approval.decision.reason}</p>
          {state === 'pending' && <Risk approval={approval} />}
          {approval.repeats && (
            <Warning>
              It may have run already.{' '}
              <Link to="/actions/$id" params={{ id: approval.repeats }} className="gh-link">
                Look at the first one
              </Link>{' '}
              before you let it run again.
            </Warning>
          )}
        </div>
        <div className={classes.context}>
          <Facts>
            <Fact name="Agent">
              <Link to="/agents/$name" params={{ name: approval.agent }} className="gh-link">
                {approval.agent}
              </Link>
            </Fact>
            <Fact name="Owner">{approval.owner}</Fact>
            <Fact name="Template">
              <code>{approval.template}</code>
              <Link to="/tasks/$id" params={{ id: approval.task }} className="gh-link">
                task
              </Link>
            </Fact>
            <Fact name="Asked">
              <When at={approval.createdAt} as="both" />
            </Fact>
          </Facts>
          <div className={classes.declared}>
            <Declared />
            <Facts>
              <Fact name="Intent">
                <PlainText text={approval.intent} />
              </Fact>
              <Fact name="Asked for by">{nameOr(approval.requestedBy)}</Fact>
              <Fact name="On behalf of">{nameOr(approval.onBehalfOf)}</Fact>
            </Facts>
          </div>
        </div>
      </div>
      {!linked && (
        <Suspense>
          <Review approval={approval} />
        </Suspense>
      )}
      <Progress approval={approval} />
      {state === 'pending' ? <Decide approval={approval} /> : <Decided approval={approval} />}
      {state === 'pending' && !linked && <ConfirmOnDevice approval={approval} />}
      <footer className={classes.foot}>
        <span>
          Digest <Identifier value={approval.digest} what="digest" short />
        </span>
        <DigestCheck approval={approval} />
        <Link to="/actions/$id" params={{ id: approval.actionId }} className="gh-link">
          Action and its records
        </Link>
      </footer>
    </article>
  );
}

export function nameOr(declared: string | null) {
  return declared === null ? <span className="gh-quiet">not said</span> : <PlainText text={actorName(declared)} />;
}

function Decided({ approval }: { approval: Approval }) {
  const { state, decidedBy, decidedAt, reason } = approval;
  const what = {
    approved: 'Approved',
    consumed: 'Approved, and used once',
    denied: 'Denied',
    expired: 'Ran out',
    cancelled: 'Cancelled',
    pending: '',
  }[state];
  return (
    <p className={classes.decided}>
      {what}
      {decidedBy && ` by ${actorName(decidedBy)}`}
      {decidedAt !== null && (
        <>
          , <When at={decidedAt} as="both" />
        </>
      )}
      {reason && (
        <>
          : “<PlainText text={reason} />”
        </>
      )}
    </p>
  );
}
