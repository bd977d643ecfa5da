import type { Approval, ApprovalContext, DecidedSoFar, NamedTicket, Undo } from '@gatehouse/protocol';
import { residualOf } from '@gatehouse/protocol/residual';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { approvalContextQuery } from '../../api/queries.ts';
import { fieldChanges, lineDiff } from '../../lib/diff.ts';
import { labelWords } from '../../lib/flow.ts';
import { kindWords } from '../../lib/lease-words.ts';
import { actorName } from '../../lib/words.ts';
import { Fact, Facts, Failure } from '../../ui/page.tsx';
import { PlainText } from '../../ui/text.tsx';
import { When } from '../../ui/when.tsx';
import { Scope } from '../credentials/scope.tsx';
import classes from './approval.module.css';

/** What to know before a yes. None of it is signed: what is signed stands above. */
export function Review({ approval }: { approval: Approval }) {
  const context = useQuery(approvalContextQuery(approval.id));
  if (context.error) return <Failure error={context.error} retry={() => void context.refetch()} />;
  if (!context.data) return null;
  const { description, credential, vouchedBy, ticket, changeRequest, history, budgets } = context.data;
  // A task and its agent have often read the same.
  const labels = [...Map.groupBy(context.data.labels, ({ label, actionId }) => `${label} ${actionId}`).values()];
  const deviations = approval.decision.situation?.deviations ?? [];
  return (
    <section className={classes.review} aria-label="Before you decide">
      <h4>Before you decide</h4>
      <Facts>
        <Fact name="What the tool does">
          {description === null ? (
            <span className="gh-quiet">it has no description</span>
          ) : (
            <PlainText text={description} />
          )}
        </Fact>
        {credential && (
          <Fact name="Made with">
            <MadeWith credential={credential} />
          </Fact>
        )}
        <Fact name="Can it be undone">{undoWords(approval.undo)}</Fact>
        <Fact name="Compared with">
          <Compared approval={approval} similar={context.data.similar} />
        </Fact>
        <Fact name="Whose intent it is">
          {vouchedBy === null
            ? 'nobody vouches for it: the agent says so itself'
            : `${actorName(vouchedBy)} vouches for it`}
        </Fact>
        {ticket && <Fact name="Its ticket">{ticketWords(ticket)}</Fact>}
        {changeRequest && <Fact name="Its change request">{ticketWords(changeRequest)}</Fact>}
        {approval.delegated?.user && <Fact name="Done for (proven)">{approval.delegated.user}</Fact>}
        {(approval.delegated?.chain.length ?? 0) > 0 && (
          <Fact name="Handed on by">{approval.delegated?.chain.map(({ agent }) => agent).join(' ← ')}</Fact>
        )}
        <Fact name="What the task has read">
          {labels.length === 0 ? (
            <span className="gh-quiet">nothing untrusted or sensitive</span>
          ) : (
            labels.map(
              ([first]) =>
                first && (
                  <span key={`${first.label} ${first.actionId}`} className={classes.line}>
                    {labelWords(first.label)}, brought by{' '}
                    <Link to="/actions/$id" params={{ id: first.actionId }} className="gh-link">
                      {first.tool}
                    </Link>
                  </span>
                ),
            )
          )}
        </Fact>
        {approval.origins.length > 0 && (
          <Fact name="Where its values came from">
            {approval.origins.map(({ argument, words }) => (
              <span key={argument} className={classes.line}>
                <code>{argument}</code> <PlainText text={words} />
              </span>
            ))}
          </Fact>
        )}
        {deviations.length > 0 && (
          <Fact name="Unusual for its agent">
            {deviations.map(({ words }) => (
              <PlainText key={words} text={words} />
            ))}
          </Fact>
        )}
        <Fact name="Determined by">
          {approval.decision.policies.map((policy) => (
            <code key={policy}>{policy}</code>
          ))}
        </Fact>
        {budgets.length > 0 && (
          <Fact name="Budgets">
            {budgets.map(({ name, limit, fullest }) => (
              <span key={name} className={classes.line}>
                {limit} ({name}: the fullest is at {fullest} %)
              </span>
            ))}
          </Fact>
        )}
        <Fact name="Said before">
          you {soFar(history.you)}; others {soFar(history.others)}
        </Fact>
      </Facts>
    </section>
  );
}

function Compared({ approval, similar }: { approval: Approval; similar: ApprovalContext['similar'] }) {
  if (!similar) return <span className="gh-quiet">nothing of this kind was approved before</span>;
  const changes = fieldChanges(similar.arguments, approval.arguments);
  return (
    <>
      <span className={classes.line}>
        the{' '}
        <Link to="/approvals/$id" params={{ id: similar.approval }} className="gh-link">
          last one
        </Link>{' '}
        that was approved{similar.agent !== approval.agent && ` (of ${similar.agent})`}, by {similar.by},{' '}
        <When at={similar.at} />
      </span>
      {changes.length === 0 && <span className={classes.line}>the arguments are the same</span>}
      <ul className={classes.changes} aria-label="What is different">
        {changes.map(({ path, kind, before, after }) => (
          <li key={path}>
            <code>
              <PlainText text={path} />
            </code>{' '}
            <span className="gh-quiet">{{ added: 'is new', removed: 'is gone', changed: 'was' }[kind]}</span>
            <Difference before={before} after={after} />
          </li>
        ))}
      </ul>
    </>
  );
}

/** What the gate adds to the call and the agent does not see. */
function MadeWith({ credential }: { credential: NonNullable<ApprovalContext['credential']> }) {
  const { provider, scope, problem, kind } = credential;
  if (problem !== null)
    return (
      <span className={classes.line}>
        nothing: {provider} makes none, so that the call is refused: <PlainText text={problem} />
      </span>
    );
  return (
    <>
      <span className={classes.line}>
        a {kindWords(kind?.type)} of {provider}, made for this task, that may
      </span>
      <Scope scope={scope} />
      {kind && (
        <span className={classes.line}>
          {
            {
              'until-expiry': `its provider can’t take it back: it works until its time is over${kind.abilities.sessionsOutlive ? ', and sessions that are open longer' : ''}`,
              stored: 'nobody can take it back: the secret works until somebody changes it where it is kept',
              nothing: `revoked or after the task, ${residualOf(kind.abilities).words}`,
            }[residualOf(kind.abilities).remains]
          }
        </span>
      )}
    </>
  );
}

/** Long texts line by line, everything else before and after. */
function Difference({ before, after }: { before: unknown; after: unknown }) {
  const [was, is] = [textOf(before), textOf(after)];
  if (was !== null && is !== null && (was + is).includes('\n'))
    return (
      <pre className={classes.lines}>
        {lineDiff(was, is).map(({ kind, text }, index) => {
          const Tag = kind === 'added' ? 'ins' : kind === 'removed' ? 'del' : 'span';
          return (
            // biome-ignore lint/suspicious/noArrayIndexKey: parts of one text, in their order
            <Tag key={index}>
              <PlainText text={text} />
            </Tag>
          );
        })}
      </pre>
    );
  return (
    <>
      {was !== null && (
        <>
          {' '}
          <del>
            <PlainText text={was} />
          </del>
        </>
      )}
      {is !== null && (
        <>
          {' '}
          <ins>
            <PlainText text={is} />
          </ins>
        </>
      )}
    </>
  );
}

const textOf = (value: unknown): string | null =>
  value === undefined ? null : typeof value === 'string' ? value : JSON.stringify(value, null, 2);

const ticketWords = ({ id, state }: NamedTicket) => (
  <>
    <PlainText text={id} />
    {state === null ? (
      <span className="gh-quiet">, named by whoever started the task; no system has said its state</span>
    ) : (
      <>
        : <PlainText text={state} />
      </>
    )}
  </>
);

function undoWords({ possible, how, withinSeconds, isSaid, isDestructive }: Undo): string {
  if (isDestructive && isSaid) return 'no: its server marks it as destructive, whatever was said of it';
  if (!isSaid) return 'no, as far as anybody has said';
  const within = withinSeconds === null ? '' : `, for ${spanOf(withinSeconds)}`;
  return `${{ yes: 'yes', partly: 'in part', no: 'no' }[possible]}${how === null ? '' : `: ${how}`}${within}`;
}

function spanOf(seconds: number): string {
  if (seconds >= 172_800) return `${Math.round(seconds / 86_400)} days`;
  if (seconds >= 7_200) return `${Math.round(seconds / 3_600)} hours`;
  return seconds >= 120 ? `${Math.round(seconds / 60)} minutes` : `${seconds} seconds`;
}

const soFar = ({ approved, denied }: DecidedSoFar) =>
  approved + denied === 0 ? 'never' : `${approved} × yes, ${denied} × no`;
