import type { Deputy } from '@gatehouse/protocol';
import { ActionIcon, Button, TextInput } from '@mantine/core';
import { IconPlus, IconUserMinus, IconUsers } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useChange } from '../../api/change.ts';
import { call } from '../../api/client.ts';
import { nameDeputyWithPasskey } from '../../api/passkeys.ts';
import { deputiesQuery } from '../../api/queries.ts';
import { needsRole, useSession } from '../../app/session.ts';
import { Badge } from '../../ui/badge.tsx';
import { DataTable } from '../../ui/data-table.tsx';
import { Confirm, FormDialog } from '../../ui/dialog.tsx';
import { Empty, Section } from '../../ui/page.tsx';
import { PlainText } from '../../ui/text.tsx';
import { When } from '../../ui/when.tsx';

const words = { ahead: 'ahead', 'in-force': 'in force', over: 'over', withdrawn: 'withdrawn' };

/** Who says yes in somebody's place while they are away, and for whom they do. Without `of`: one's own. */
export function Deputies({ of }: { of?: string }) {
  const session = useSession();
  const email = of ?? session.person.email;
  const isOwn = email === session.person.email;
  const cannotName = isOwn ? null : needsRole(session, ['admin'], 'Naming a deputy for somebody');
  const deputies = useQuery(deputiesQuery(email));
  const [doing, setDoing] = useState<'name' | Deputy | null>(null);
  const close = () => setDoing(null);
  return (
    <Section
      title="Deputies"
      count={deputies.data?.items.length}
      actions={
        <Button
          variant="default"
          leftSection={<IconPlus size={14} />}
          disabled={cannotName !== null}
          title={cannotName ?? undefined}
          onClick={() => setDoing('name')}
        >
          Name a deputy
        </Button>
      }
    >
      <DataTable
        label="Deputies"
        rows={deputies.data?.items}
        rowKey={({ id }) => id}
        columns={[
          { header: 'Who', cell: ({ deputy }) => <PlainText text={deputy} /> },
          { header: 'In the place of', cell: ({ person }) => <PlainText text={person} /> },
          {
            header: 'State',
            cell: ({ state }) => <Badge hue={state === 'in-force' ? 'green' : 'gray'}>{words[state]}</Badge>,
          },
          { header: 'From', cell: ({ from }) => <When at={from} /> },
          { header: 'Until', cell: ({ until }) => <When at={until} /> },
          { header: 'Why', cell: ({ reason }) => <PlainText text={reason} /> },
          {
            header: '',
            align: 'end',
            cell: (deputy) => (
              <ActionIcon aria-label={`Withdraw ${deputy.deputy}`} title="Withdraw" onClick={() => setDoing(deputy)}>
                <IconUserMinus size={16} />
              </ActionIcon>
            ),
          },
        ]}
        error={deputies.error}
        retry={() => void deputies.refetch()}
        empty={
          <Empty
            icon={IconUsers}
            title="Nobody"
            about="While somebody is away, a deputy can say yes to what waits for them, but never to what they asked for themselves."
          />
        }
      />
      {doing === 'name' && <Name of={isOwn ? null : email} close={close} />}
      {doing !== null && doing !== 'name' && <Withdraw deputy={doing} close={close} />}
    </Section>
  );
}

/** One's own is signed with the passkey; an admin names one for somebody else. */
function Name({ of, close }: { of: string | null; close: () => void }) {
  const [deputy, setDeputy] = useState('');
  const [from, setFrom] = useState('');
  const [until, setUntil] = useState('');
  const [reason, setReason] = useState('');
  const { form } = useChange(
    () => {
      const wanted = {
        deputy: deputy.trim().toLowerCase(),
        until: new Date(until).toISOString(),
        reason,
        ...(from && { from: new Date(from).toISOString() }),
      };
      if (of === null) return nameDeputyWithPasskey(wanted);
      return call('POST /people/:email/deputies', { params: { email: of }, body: wanted });
    },
    { refresh: ['deputies', 'approvals'], done: close },
  );
  return (
    <FormDialog
      {...form}
      title="Name a deputy"
      close={close}
      button={of === null ? 'Sign with passkey' : 'Name'}
      ready={deputy.includes('@') && until !== ''}
    >
      <p>
        They can say yes in {of === null ? 'your place, in the approvals that wait for you' : `the place of ${of}`},
        with their own passkey.
      </p>
      <TextInput
        label="Email"
        type="email"
        value={deputy}
        onChange={(event) => setDeputy(event.currentTarget.value)}
        required
        data-autofocus
      />
      <TextInput
        label="From (without one: now)"
        type="datetime-local"
        value={from}
        onChange={(event) => setFrom(event.currentTarget.value)}
      />
      <TextInput
        label="Until"
        type="datetime-local"
        value={until}
        onChange={(event) => setUntil(event.currentTarget.value)}
        required
      />
      <TextInput
        label="Why (optional)"
        value={reason}
        maxLength={500}
        onChange={(event) => setReason(event.currentTarget.value)}
      />
    </FormDialog>
  );
}

function Withdraw({ deputy: { id, deputy, person }, close }: { deputy: Deputy; close: () => void }) {
  const { form } = useChange(() => call('DELETE /deputies/:id', { params: { id } }), {
    refresh: ['deputies', 'approvals'],
    done: close,
  });
  return (
    <Confirm {...form} title="Withdraw the deputy" close={close} button="Withdraw">
      <p>
        {deputy} no longer says yes in the place of {person}. What they said yes to and was not used waits again.
      </p>
    </Confirm>
  );
}
