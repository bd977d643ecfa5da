import { Button } from '@mantine/core';
import { IconUserShare } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { Empty, Section } from '../../ui/page.tsx';
import { DelegationTable } from './delegation-table.tsx';

/** Who lets this agent act for them: all of them for its owner and overseers, one's own for everybody else. */
export function DelegationsTo({ agent }: { agent: string }) {
  return (
    <Section
      title="Acts for people"
      actions={
        <Button variant="default" renderRoot={(props) => <Link to="/delegations/new" search={{ agent }} {...props} />}>
          Let it act for me
        </Button>
      }
    >
      <DelegationTable
        label={`Delegations to ${agent}`}
        filter={{ agent }}
        without="agent"
        empty={
          <Empty
            icon={IconUserShare}
            title="It acts for nobody"
            about="A person can let it act for them: under one template, with bounds, until a day. Nobody can do that for somebody else."
          />
        }
      />
    </Section>
  );
}
