import type { ReactNode } from 'react';
import { Page } from '../../ui/page.tsx';
import { Tabs } from '../../ui/tabs.tsx';

/** Credentials that are out, and who makes them. */
export function CredentialsPage({ title, about, children }: { title: string; about: string; children: ReactNode }) {
  return (
    <Page title={title} about={about}>
      <Tabs
        label="Pages of credentials"
        tabs={[
          { to: '/leases', label: 'Leases' },
          { to: '/providers', label: 'Providers' },
          { to: '/accounts', label: 'Accounts' },
          { to: '/secrets', label: 'Secrets' },
        ]}
      />
      {children}
    </Page>
  );
}
