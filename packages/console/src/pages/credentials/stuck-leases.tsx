import type { ShownLease } from '@gatehouse/protocol';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { stuckLeasesQuery } from '../../api/credential-queries.ts';
import { kindWords, purposeWords } from '../../lib/lease-words.ts';
import { EnvironmentBadge } from '../../ui/badge.tsx';
import { Failure, Section } from '../../ui/page.tsx';
import { Identifier, PlainText } from '../../ui/text.tsx';
import { When } from '../../ui/when.tsx';
import classes from './credentials.module.css';
import { GiveUp } from './give-up.tsx';
import { LeaseBadges } from './lease-words.tsx';
import { Scope } from './scope.tsx';
import { TestProvider } from './test-provider.tsx';

/** What somebody may still hold although it was to be gone, before all else, with what to do about it. */
export function StuckLeases() {
  const found = useQuery(stuckLeasesQuery);
  const stuck = found.data;
  // That nothing is known is not that nothing is stuck.
  if (found.error && !stuck)
    return (
      <Section title="Could not be ended">
        <Failure error={found.error} retry={() => void found.refetch()} />
      </Section>
    );
  if (!stuck?.items.length) return null;
  return (
    <Section title="Could not be ended" count={`${stuck.items.length}${stuck.cursor === null ? '' : ' and more'}`}>
      <div className={classes.stuck}>
        {stuck.items.map((lease) => (
          <Stuck key={lease.id} lease={lease} />
        ))}
      </div>
    </Section>
  );
}

function Stuck({ lease }: { lease: ShownLease }) {
  const { id, provider, agent, kind } = lease;
  return (
    <article className={classes.trouble} aria-labelledby={`${id}-stuck`}>
      <h3 id={`${id}-stuck`}>
        <Link to="/leases/$id" params={{ id }} className="gh-link" data-row-link="">
          {kindWords(kind?.type)} of {provider}
        </Link>
        <LeaseBadges lease={lease} /> <EnvironmentBadge name={lease.environment} />
      </h3>
      <p>
        {agent === '' ? (
          'Of a test, for nobody'
        ) : (
          <>
            Of{' '}
            <Link to="/agents/$name" params={{ name: agent }} className="gh-link">
              {agent}
            </Link>
          </>
        )}
        , for {purposeWords(lease)}. It may: <Scope scope={lease.scope} />
      </p>
      <Trouble lease={lease} />
    </article>
  );
}

/** What stands in the way of its end, and what people can do. */
export function Trouble({ lease }: { lease: ShownLease }) {
  const { provider, name, attempts, nextTryAt, problem, revokingAt, kind } = lease;
  return (
    <>
      <p>
        {revokingAt !== null && (
          <>
            Its end began <When at={revokingAt} as="both" />.{' '}
          </>
        )}
        {attempts} attempts have failed
        {nextTryAt !== null && (
          <>
            , the next is at <When at={nextTryAt} />
          </>
        )}
        .{' '}
        {problem !== null && (
          <>
            The last said: “<PlainText text={problem} />”
          </>
        )}
      </p>
      <ol aria-label="What to do">
        {kind === null ? (
          <li>
            The provider <code>{provider}</code> is declared no more. What it takes to end this was kept, and is tried
            on.
          </li>
        ) : (
          <li>
            Find out whether <code>{provider}</code> answers: <TestProvider name={provider} />
            <br />
            Once it does, this is ended within half a minute by itself.
          </li>
        )}
        <li>
          Can’t wait? End it at the provider by hand. There it is called <Identifier value={name} what="name" />.
          Gatehouse finds that it is gone.
        </li>
        <li>
          <GiveUp lease={lease} />
        </li>
      </ol>
    </>
  );
}
