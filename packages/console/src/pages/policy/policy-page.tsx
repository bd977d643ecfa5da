import type { ReactNode } from 'react';
import { Page } from '../../ui/page.tsx';
import { Tabs } from '../../ui/tabs.tsx';

interface PolicyPageProps {
  title: string;
  about: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}

/** One of the pages about what decides: they share a line of tabs. */
export function PolicyPage({ title, about, actions, children }: PolicyPageProps) {
  return (
    <Page title={title} about={about} actions={actions}>
      <Tabs
        label="Policy"
        tabs={[
          { to: '/policy/files', label: 'Policies' },
          { to: '/policy/playground', label: 'Playground' },
          { to: '/policy/observed', label: 'Observed' },
          { to: '/policy/proposals', label: 'Proposals' },
          { to: '/policy/versions', label: 'Versions' },
          { to: '/policy/budgets', label: 'Budgets' },
        ]}
      />
      {children}
    </Page>
  );
}
