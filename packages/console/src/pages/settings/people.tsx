import type { Api } from '@gatehouse/protocol';
import { Alert, Button, Checkbox, Modal } from '@mantine/core';
import { IconLink, IconUsers } from '@tabler/icons-react';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { call } from '../../api/client.ts';
import { peopleQuery } from '../../api/queries.ts';
import { needsRole, useSession } from '../../app/session.ts';
import { commands } from '../../lib/commands.ts';
import { Badge } from '../../ui/badge.tsx';
import { DataTable } from '../../ui/data-table.tsx';
import { Empty, Failure, Section } from '../../ui/page.tsx';
import { Command } from '../../ui/text.tsx';
import { TimeLeft } from '../../ui/when.tsx';
import classes from './settings.module.css';

type Person = Api['GET /people']['items'][number];

export function People() {
  const session = useSession();
  const people = useQuery(peopleQuery);
  const [inviting, setInviting] = useState<Person | null>(null);
  const obstacle = needsRole(session, ['admin'], 'Making a sign-in link');
  return (
    <Section title="People" count={people.data?.items.length}>
      <DataTable
        label="People"
        rows={people.data?.items}
        rowKey={({ email }) => email}
        columns={[
          { header: 'Person', cell: ({ displayName }) => displayName },
          { header: 'Email', cell: ({ email }) => email },
          {
            header: 'Roles',
            cell: ({ roles }) => (
              <span className={classes.roles}>
                {roles.map((role) => (
                  <Badge key={role} hue="gray">
                    {role}
                  </Badge>
                ))}
              </span>
            ),
          },
          {
            header: 'Passkeys',
            cell: ({ passkeys }) => (passkeys === 0 ? <Badge hue="amber">none yet</Badge> : passkeys),
          },
          {
            header: '',
            align: 'end',
            cell: (person) => (
              <Button
                variant="default"
                leftSection={<IconLink size={14} />}
                disabled={obstacle !== null}
                title={obstacle ?? undefined}
                onClick={() => setInviting(person)}
              >
                Sign-in link
              </Button>
            ),
          },
        ]}
        error={people.error}
        retry={() => void people.refetch()}
        empty={
          <Empty icon={IconUsers} title="Nobody is declared" about="People are declared in files:">
            <Command>{commands.applyYours}</Command>
          </Empty>
        }
      />
      <p className={classes.hint}>
        People and their roles are declared in files; to add somebody, add a <code>Person</code> and apply it.
      </p>
      {inviting && <Invite person={inviting} close={() => setInviting(null)} />}
    </Section>
  );
}

function Invite({ person, close }: { person: Person; close: () => void }) {
  const session = useSession();
  const [recovery, setRecovery] = useState(false);
  const make = useMutation({
    mutationFn: () => call('POST /people/signin-links', { body: { email: person.email, recovery } }),
  });
  const isSelf = person.email === session.person.email;
  return (
    <Modal opened onClose={close} title={`Sign-in link for ${person.displayName}`} size="lg">
      <div className={classes.form}>
        {make.data ? (
          <>
            <p>
              Give it to {person.email}, and to nobody else. It works once; <TimeLeft until={make.data.expiresAt} />. It
              is shown only here.
            </p>
            <Command>{make.data.url}</Command>
            <div className={classes.buttons}>
              <Button onClick={close}>Done</Button>
            </div>
          </>
        ) : (
          <>
            <p>
              {person.passkeys === 0
                ? `${person.email} has no passkey yet: the link lets them make the first one.`
                : `${person.email} has a passkey, so the link leads to it and opens nothing by itself.`}{' '}
              A newer link replaces an older one.
            </p>
            {person.passkeys > 0 && !isSelf && (
              <Checkbox
                size="sm"
                label="They have lost their passkeys (recovery)"
                checked={recovery}
                onChange={(event) => setRecovery(event.currentTarget.checked)}
              />
            )}
            {recovery && (
              <Alert color="orange" title="Whoever opens this link becomes this person">
                It makes a passkey that replaces all earlier ones, and ends every other session. Make sure by another
                way that it was {person.displayName} who asked.
              </Alert>
            )}
            {make.error && <Failure error={make.error} />}
            <div className={classes.buttons}>
              <Button variant="default" onClick={close}>
                Cancel
              </Button>
              <Button loading={make.isPending} onClick={() => make.mutate()} data-autofocus>
                Make the link
              </Button>
            </div>
          </>
        )}
      </div>
    </Modal>
  );
}
