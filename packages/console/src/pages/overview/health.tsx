import type { HealthView } from '@gatehouse/protocol';
import { IconAlertTriangle } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link, type LinkProps } from '@tanstack/react-router';
import { statusQuery } from '../../api/queries.ts';
import { PlainText } from '../../ui/text.tsx';
import classes from './attention.module.css';

type What = HealthView['problems'][number]['what'];

const log = { to: '/log', label: 'Log' } as const;
/** Where each is seen to. What keeps the server from its database nobody mends here. */
const pages: Record<What, (Pick<LinkProps, 'to' | 'search'> & { label: string }) | null> = {
  database: null,
  record: log,
  witnesses: log,
  publishing: log,
  credentials: { to: '/leases', search: { state: 'stuck' }, label: 'Stuck credentials' },
  accounts: { to: '/accounts', label: 'Accounts' },
  sinks: { to: '/sinks', label: 'Sinks' },
};

/** What the server says needs somebody, before all else; nothing where it is well. */
export function Health() {
  const { health } = useQuery(statusQuery).data ?? {};
  if (!health || health.state === 'well') return null;
  return (
    <section className={classes.health} aria-labelledby="health">
      <h2 id="health">
        <IconAlertTriangle size={16} aria-hidden />
        {health.state === 'denying' ? 'Gatehouse denies everything' : 'Gatehouse works, and this needs somebody'}
      </h2>
      <ul>
        {health.problems.map(({ what, words }) => (
          <li key={words}>
            <PlainText text={words} />. <Where what={what} />
          </li>
        ))}
      </ul>
    </section>
  );
}

function Where({ what }: { what: What }) {
  const page = pages[what];
  if (page === null) return null;
  const { label, ...link } = page;
  return (
    <Link {...link} className="gh-link">
      {label}
    </Link>
  );
}
