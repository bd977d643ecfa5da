import type { Deputy } from '@gatehouse/protocol';
import { ActionIcon, Button, Group, TextInput } from '@mantine/core';
import { IconFingerprint, IconPlus, IconUserMinus, IconUsers } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useChange } from '../../api/change.ts';
import { call } from '../../api/client.ts';
import { confirmDeputyWithPasskey, nameDeputyWithPasskey } from '../../api/passkeys.ts';
import { deputiesQuery } from '../../api/queries.ts';
import { needsRole, useSession } from '../../app/session.ts';
import { Badge } from '../../ui/badge.tsx';
import { DataTable } from '../../ui/data-table.tsx';
import { Confirm, FormDialog } from '../../ui/dialog.tsx';
import { Empty, Section } from '../../ui/page.tsx';
import { PlainText } from '../../ui/text.tsx';
import { When } from '../../ui/when.tsx';

const words = { proposed: 'proposed', ahead: 'ahead', 'in-force': 'in force', over: 'over', withdrawn: 'withdrawn' };

/** Who says yes in somebody's place while they are away, and for whom they do. Without `of`: one's own. */
export function Deputies({ of }: { of?: string }) {
  const session = useSession();
  const email = of ?? session.person.email;
  const isOwn = email === session.person.email;
  const cannotName = isOwn ? null : needsRole(session, ['admin'], 'Proposing a deputy for somebody');
  const deputies = useQuery(deputiesQuery(email));
  const [doing, setDoing] = useState<'name' | { confirm: Deputy } | { withdraw: Deputy } | null>(null);
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
          {isOwn ? 'Name a deputy' : 'Propose a deputy'}
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
              <Group gap={4} justify="end" wrap="nowrap">
                {mayConfirm(session, deputy) && (
                  <ActionIcon
                    aria-label={`Confirm ${deputy.deputy}`}
                    title="Confirm with passkey"
                    onClick={() => setDoing({ confirm: deputy })}
                  >
                    <IconFingerprint size={16} />
                  </ActionIcon>
                )}
                <ActionIcon
                  aria-label={`Withdraw ${deputy.deputy}`}
                  title="Withdraw"
                  onClick={() => setDoing({ withdraw: deputy })}
                >
                  <IconUserMinus size={16} />
                </ActionIcon>
              </Group>
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
      {doing !== null && doing !== 'name' && 'confirm' in doing && (
        <ConfirmProposed deputy={doing.confirm} close={close} />
      )}
      {doing !== null && doing !== 'name' && 'withdraw' in doing && <Withdraw deputy={doing.withdraw} close={close} />}
    </Section>
  );
}

/** What an admin has proposed: whom it is about, or another admin, and never who proposed it or is the deputy. */
function mayConfirm({ person: { email, roles } }: ReturnType<typeof useSession>, each: Deputy): boolean {
  if (each.state !== 'proposed' || each.deputy === email || each.madeBy === `person:${email}`) return false;
  return each.person === email || roles.includes('admin');
}

function ConfirmProposed({ deputy, close }: { deputy: Deputy; close: () => void }) {
  const { form } = useChange(() => confirmDeputyWithPasskey(deputy), {
    refresh: ['deputies', 'approvals'],
    done: close,
  });
  return (
    <FormDialog {...form} title="Confirm the deputy" close={close} button="Sign with passkey" ready>
      <p>
        {deputy.madeBy.replace(/^person:/, '')} proposes that {deputy.deputy} says yes in the place of {deputy.person},
        from <When at={deputy.from} /> until <When at={deputy.until} />. It counts once you have signed it.
      </p>
      {deputy.reason !== '' && <PlainText text={deputy.reason} />}
    </FormDialog>
  );
}

/** One's own is signed with the passkey; an admin only proposes one for somebody else, which another then signs. */
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
      title={of === null ? 'Name a deputy' : 'Propose a deputy'}
      close={close}
      button={of === null ? 'Sign with passkey' : 'Propose'}
      ready={deputy.includes('@') && until !== ''}
    >
      <p>
        They can say yes in {of === null ? 'your place, in the approvals that wait for you' : `the place of ${of}`},
        with their own passkey.{of !== null && ' It counts once they, or another admin, have confirmed it.'}
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
