import { Button } from '@mantine/core';
import { type Icon, IconAlertCircle, IconRefresh } from '@tabler/icons-react';
import { type ReactNode, useEffect } from 'react';
import { explain } from '../api/problem.ts';
import classes from './page.module.css';

interface PageProps {
  /** Of the browser's tab; the heading, too, unless `heading` is given. */
  title: string;
  heading?: ReactNode;
  /** A link to the list that this page is one of. */
  crumb?: ReactNode;
  about?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}

export function Page({ title, heading, crumb, about, actions, children }: PageProps) {
  useEffect(() => {
    document.title = `${title} · Gatehouse`;
  }, [title]);
  return (
    <div className={classes.page}>
      <header className={classes.header}>
        <div className={classes.heading}>
          {crumb && <span className={classes.crumb}>{crumb}</span>}
          <h1>{heading ?? title}</h1>
          {about && <p className={classes.about}>{about}</p>}
        </div>
        {actions && <div className={classes.actions}>{actions}</div>}
      </header>
      {children}
    </div>
  );
}

interface SectionProps {
  title: ReactNode;
  count?: number | string | undefined;
  actions?: ReactNode;
  children: ReactNode;
}

export function Section({ title, count, actions, children }: SectionProps) {
  return (
    <section className={classes.section}>
      <div className={classes.sectionHeader}>
        <h2>
          {title}
          {count !== undefined && <span className={`${classes.count} gh-numbers`}>{count}</span>}
        </h2>
        {actions && <div className={classes.actions}>{actions}</div>}
      </div>
      {children}
    </section>
  );
}

export function Card({ padded = true, children }: { padded?: boolean; children: ReactNode }) {
  return <div className={`${classes.card} ${padded ? classes.padded : ''}`}>{children}</div>;
}

export function Toolbar({ children }: { children: ReactNode }) {
  return <div className={classes.toolbar}>{children}</div>;
}

export const growing = classes.grow;

export function Facts({ children }: { children: ReactNode }) {
  return <dl className={classes.facts}>{children}</dl>;
}

export function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

interface EmptyProps {
  icon: Icon;
  title: string;
  /** What to do next; commands go into `children`. */
  about?: ReactNode;
  children?: ReactNode;
}

export function Empty({ icon: Glyph, title, about, children }: EmptyProps) {
  return (
    <div className={classes.empty}>
      <Glyph size={28} stroke={1.4} aria-hidden />
      <h3>{title}</h3>
      {about && <p>{about}</p>}
      {children && <div>{children}</div>}
    </div>
  );
}

export function Failure({ error, retry }: { error: unknown; retry?: () => void }) {
  const { title, detail, code } = explain(error);
  return (
    <div className={classes.failure} role="alert">
      <IconAlertCircle size={18} aria-hidden />
      <div className={classes.failureBody}>
        <strong>{title}</strong>
        <p>{detail}</p>
        {code && <code className={classes.code}>{code}</code>}
      </div>
      {retry && (
        <Button variant="default" leftSection={<IconRefresh size={14} />} onClick={retry}>
          Try again
        </Button>
      )}
    </div>
  );
}
