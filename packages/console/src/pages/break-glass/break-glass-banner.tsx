import { IconAlertTriangle } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { breakGlassQuery } from '../../api/queries.ts';
import { TimeLeft } from '../../ui/when.tsx';
import classes from './break-glass.module.css';

/** On every page: what runs without approvals now, and what nobody has looked at since. */
export function BreakGlassBanner() {
  const all = useQuery(breakGlassQuery).data?.items ?? [];
  const open = all.filter(({ state }) => state === 'open');
  const unseen = all.filter(({ state, needsReview }) => needsReview && state !== 'open');
  const asked = all.filter(({ state }) => state === 'asked' || state === 'signed');
  if (open.length + unseen.length + asked.length === 0) return null;
  return (
    <div className={classes.banner} role="alert">
      <IconAlertTriangle size={17} aria-hidden />
      <div>
        {open.map(({ id, incident, agent, until }) => (
          <p key={id}>
            <Link to="/break-glass" className="gh-link">
              Break-glass {incident}
            </Link>{' '}
            is open for {agent}: its calls run without approvals. {until !== null && <TimeLeft until={until} />}
          </p>
        ))}
        {asked.map(({ id, incident, agent, state }) => (
          <p key={id}>
            <Link to="/break-glass" className="gh-link">
              Break-glass {incident}
            </Link>{' '}
            is asked for {agent}, and waits for {state === 'asked' ? 'two people' : 'a second person'}.
          </p>
        ))}
        {unseen.length > 0 && (
          <p>
            <Link to="/break-glass" className="gh-link">
              {unseen.length === 1 ? 'One emergency waits' : `${unseen.length} emergencies wait`}
            </Link>{' '}
            for a review.
          </p>
        )}
      </div>
    </div>
  );
}
