import type { Approval, ApprovalProgress } from '@gatehouse/protocol';
import { useQuery } from '@tanstack/react-query';
import { approvalProgressQuery } from '../../api/queries.ts';
import { Badge } from '../../ui/badge.tsx';
import { When } from '../../ui/when.tsx';
import classes from './approval.module.css';

/** Whose yes it takes, who has given one, and who can give one now. Shown where a rule says so, or somebody has answered. */
export function Progress({ approval }: { approval: Approval }) {
  const isAsked = approval.rules.length > 0;
  const { data } = useQuery({ ...approvalProgressQuery(approval), enabled: isAsked });
  if (!isAsked || !data) return null;
  const noes = approval.votes.filter(({ answer }) => answer === 'no');
  return (
    <section className={classes.progress} aria-label="Who decides">
      {data.rules.map((rule) => (
        <Rule key={rule.name} rule={rule} />
      ))}
      {noes.map(({ number, person, reason }) => (
        <p key={number}>
          {person} said no{reason ? `: “${reason}”` : ''}.
        </p>
      ))}
      {data.mayApprove.length > 0 && (
        <p className="gh-quiet">Can say yes now: {data.mayApprove.slice(0, 12).join(', ')}</p>
      )}
      {data.nextEscalationAt !== null && (
        <p className="gh-quiet">
          Others may as well from <When at={data.nextEscalationAt} as="both" /> on.
        </p>
      )}
    </section>
  );
}

function Rule({ rule: { name, isMet, order, deny, steps } }: { rule: ApprovalProgress['rules'][number] }) {
  return (
    <div>
      <p>
        Rule <code>{name}</code> <Badge hue={isMet ? 'green' : 'amber'}>{isMet ? 'met' : 'not met yet'}</Badge>
        {order === 'serial' && <span className="gh-quiet"> one step after the other</span>}
        {deny > 1 && <span className="gh-quiet"> {deny} noes end it</span>}
      </p>
      <ol>
        {steps.map(({ approve, from, distinct, missing, isOpen, given }, at) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: steps are known by their place.
          <li key={at}>
            {approve} of {from.join(', ')}
            {distinct && ', each for another of them'}:{' '}
            {missing === 0 ? 'done' : `${missing} missing${isOpen ? '' : ', not open now'}`}
            {given.map(({ person, for: place, as }) => (
              <span key={person} className={classes.yes}>
                {person}
                {place && ` for ${place}`} ({as})
              </span>
            ))}
          </li>
        ))}
      </ol>
    </div>
  );
}
