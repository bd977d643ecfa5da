import type { ReactNode } from 'react';
import { Page } from '../../ui/page.tsx';
import { Tabs } from '../../ui/tabs.tsx';

interface IdentityPageProps {
  title: string;
  about: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}

/** One of the pages about who is who: they share a line of tabs. */
export function IdentityPage({ title, about, actions, children }: IdentityPageProps) {
  return (
    <Page title={title} about={about} actions={actions}>
      <Tabs
        label="Identity"
        tabs={[
          { to: '/identity/people', label: 'People' },
          { to: '/identity/sessions', label: 'Sessions' },
          { to: '/delegations', label: 'Delegations' },
          { to: '/identity/trust-rules', label: 'Trust rules' },
          { to: '/identity/workloads', label: 'Workloads' },
          { to: '/identity/trust-domain', label: 'Trust domain' },
          { to: '/identity/keys', label: 'Keys' },
        ]}
      />
      {children}
    </Page>
  );
}
