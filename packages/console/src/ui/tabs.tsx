import { Link, type LinkProps } from '@tanstack/react-router';
import classes from './tabs.module.css';

interface Tab extends Pick<LinkProps, 'to' | 'params'> {
  label: string;
  /** Only this very page, and none below it. */
  exact?: boolean;
}

/** Pages that belong together, each with its own address. */
export function Tabs({ label, tabs }: { label: string; tabs: Tab[] }) {
  return (
    <nav className={classes.tabs} aria-label={label}>
      {tabs.map(({ label: name, exact = false, ...link }) => (
        <Link key={name} {...link} className={classes.tab} activeOptions={{ exact, includeSearch: false }}>
          {name}
        </Link>
      ))}
    </nav>
  );
}
