import { Button, SegmentedControl } from '@mantine/core';
import { IconPlus, IconUserShare } from '@tabler/icons-react';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { useSession } from '../../app/session.ts';
import { Empty, Toolbar } from '../../ui/page.tsx';
import { IdentityPage } from '../identity/identity-page.tsx';
import { DelegationTable } from './delegation-table.tsx';

export function DelegationsPage() {
  const { person } = useSession();
  const { whose = 'mine', review } = useSearch({ from: '/house/delegations' });
  const navigate = useNavigate();
  return (
    <IdentityPage
      title="Delegations"
      about="Who lets which agent act for them: under one template, with bounds, until a day. The agent gets nothing that either of the two may not do."
      actions={
        <Button
          size="sm"
          leftSection={<IconPlus size={16} />}
          renderRoot={(props) => <Link to="/delegations/new" {...props} />}
        >
          Let an agent act for me
        </Button>
      }
    >
      <Toolbar>
        <SegmentedControl
          aria-label="Whose"
          value={whose}
          onChange={(chosen) =>
            void navigate({
              to: '/delegations',
              search: chosen === 'all' ? { whose: 'all' } : {},
              replace: true,
            })
          }
          data={[
            { value: 'mine', label: 'Mine' },
            { value: 'all', label: 'All that I may see' },
          ]}
        />
      </Toolbar>
      <DelegationTable
        key={whose}
        label="Delegations"
        filter={whose === 'mine' ? { user: person.email } : {}}
        without={whose === 'mine' ? 'user' : null}
        review={review}
        empty={
          <Empty
            icon={IconUserShare}
            title={whose === 'mine' ? 'No agent acts for you' : 'No agent acts for anybody'}
            about="Where an agent shall do work in your name while you are away, say here what and until when. You can take it back at any time."
          />
        }
      />
    </IdentityPage>
  );
}
