import type { SecretView } from '@gatehouse/protocol';
import { TextInput } from '@mantine/core';
import { IconAlertTriangle, IconLock, IconPlus } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useChange } from '../../api/change.ts';
import { call } from '../../api/client.ts';
import { secretsQuery } from '../../api/queries.ts';
import { needsRole, useSession } from '../../app/session.ts';
import { listOf } from '../../lib/words.ts';
import { AllowedButton } from '../../ui/allowed-button.tsx';
import { Badge } from '../../ui/badge.tsx';
import { DataTable } from '../../ui/data-table.tsx';
import { Confirm, FormDialog } from '../../ui/dialog.tsx';
import { Empty, Section } from '../../ui/page.tsx';
import { useNow, When } from '../../ui/when.tsx';
import classes from './credentials.module.css';
import { CredentialsPage } from './credentials-page.tsx';

/** Names only: a value goes in and never comes out again. */
export function SecretsPage() {
  const session = useSession();
  const hidden = needsRole(session, ['admin', 'security', 'auditor'], 'Seeing which secrets there are');
  return (
    <CredentialsPage
      title="Secrets"
      about="What doesn’t end by itself: kept sealed, sent to its destinations only, and never shown again. Providers make credentials with them; what has none yet is called with them."
    >
      {hidden === null ? (
        <>
          <Secrets />
          <KeptElsewhere />
        </>
      ) : (
        <Empty icon={IconLock} title="Not for everybody" about={hidden} />
      )}
    </CredentialsPage>
  );
}

function Secrets() {
  const session = useSession();
  const secrets = useQuery(secretsQuery);
  const [setting, setSetting] = useState<Setting | null>(null);
  const [rotating, setRotating] = useState<SecretView | null>(null);
  const [deleting, setDeleting] = useState<SecretView | null>(null);
  const obstacle = needsRole(session, ['admin'], 'Setting a secret');
  return (
    <Section
      title="Stored secrets"
      count={secrets.data?.items.length}
      actions={
        <AllowedButton
          leftSection={<IconPlus size={14} />}
          obstacle={obstacle}
          onClick={() => setSetting({ name: '', origins: [], owner: null, rotateDays: null })}
        >
          Set a secret
        </AllowedButton>
      }
    >
      <DataTable
        label="Secrets"
        rows={secrets.data?.items}
        rowKey={({ name }) => name}
        columns={[
          { header: 'Name', cell: ({ name }) => <code className="gh-break">{name}</code>, width: '18%' },
          { header: 'Sent to', cell: ({ origins }) => <span className="gh-break">{origins.join(', ')}</span> },
          {
            header: 'Used by',
            cell: ({ usedBy }) => (usedBy.length === 0 ? <span className="gh-quiet">nothing</span> : usedBy.join(', ')),
          },
          { header: 'Set', cell: ({ updatedAt }) => <When at={updatedAt} as="relative" /> },
          { header: 'Last used', cell: ({ lastUsedAt }) => <Known at={lastUsedAt} /> },
          { header: 'Looked after by', cell: ({ owner }) => owner ?? <span className="gh-quiet">nobody said</span> },
          { header: 'New one due', cell: ({ rotationDueAt }) => <Due at={rotationDueAt} /> },
          {
            header: '',
            align: 'end',
            cell: (secret) => (
              <span className={classes.buttons}>
                {secret.canRotate && (
                  <AllowedButton
                    obstacle={obstacle}
                    onClick={() => setRotating(secret)}
                    aria-label={`Rotate ${secret.name}`}
                  >
                    Rotate
                  </AllowedButton>
                )}
                <AllowedButton
                  obstacle={obstacle}
                  onClick={() => setSetting(secret)}
                  aria-label={`Set ${secret.name} anew`}
                >
                  Set anew
                </AllowedButton>
                <AllowedButton
                  obstacle={obstacle}
                  onClick={() => setDeleting(secret)}
                  aria-label={`Delete ${secret.name}`}
                >
                  Delete
                </AllowedButton>
              </span>
            ),
          },
        ]}
        error={secrets.error}
        retry={() => void secrets.refetch()}
        empty={
          <Empty
            icon={IconLock}
            title="No secret is stored"
            about="Where a provider or a tool server wants a secret, set it here and name it in its manifest. Federation needs none."
          />
        }
      />
      {setting && <SetSecret {...setting} close={() => setSetting(null)} />}
      {rotating && <RotateSecret secret={rotating} close={() => setRotating(null)} />}
      {deleting && <DeleteSecret secret={deleting} close={() => setDeleting(null)} />}
    </Section>
  );
}

/** Where somebody else keeps what a provider of the kind `static` sends. */
function KeptElsewhere() {
  const elsewhere = useQuery(secretsQuery).data?.elsewhere;
  if (!elsewhere?.length) return null;
  return (
    <Section title="Kept elsewhere" count={elsewhere.length}>
      <DataTable
        label="Secrets that are kept elsewhere"
        rows={elsewhere}
        rowKey={({ provider, part }) => `${provider} ${part}`}
        columns={[
          {
            header: 'Provider and part',
            cell: ({ provider, part }) => (
              <>
                {provider} <code>{part}</code>
              </>
            ),
          },
          {
            header: 'Kept in',
            cell: ({ kept, named }) => (
              <span className="gh-break">
                {kept}: <code>{named}</code>
              </span>
            ),
          },
          { header: 'Sent to', cell: ({ origins }) => <span className="gh-break">{origins.join(', ')}</span> },
          { header: 'Changed', cell: ({ changedAt }) => <Known at={changedAt} /> },
          { header: 'Last used', cell: ({ lastUsedAt }) => <Known at={lastUsedAt} /> },
          { header: 'Looked after by', cell: ({ owner }) => owner ?? <span className="gh-quiet">nobody said</span> },
          { header: 'New one due', cell: ({ rotationDueAt }) => <Due at={rotationDueAt} /> },
        ]}
        empty={null}
      />
    </Section>
  );
}

const Known = ({ at }: { at: number | null }) =>
  at === null ? <span className="gh-quiet">not known</span> : <When at={at} as="relative" />;

function Due({ at }: { at: number | null }) {
  const now = useNow(60_000);
  if (at === null) return <span className="gh-quiet">nobody said</span>;
  if (at > now) return <When at={at} as="relative" />;
  return (
    <>
      <Badge hue="red" icon={IconAlertTriangle}>
        overdue
      </Badge>{' '}
      <When at={at} as="relative" />
    </>
  );
}

type Setting = Pick<SecretView, 'name' | 'origins' | 'owner' | 'rotateDays'>;

function SetSecret({ name: given, origins: before, close, ...was }: Setting & { close: () => void }) {
  const [name, setName] = useState(given);
  const [value, setValue] = useState('');
  const [origins, setOrigins] = useState(before.join(' '));
  const [owner, setOwner] = useState(was.owner ?? '');
  const [days, setDays] = useState(was.rotateDays === null ? '' : String(was.rotateDays));
  const { form } = useChange(
    () =>
      call('PUT /secrets/:name', {
        params: { name: name.trim() },
        body: {
          value,
          origins: listOf(origins),
          owner: owner.trim() || null,
          rotateDays: days.trim() === '' ? null : Number(days),
        },
      }),
    { refresh: ['secrets'], done: close },
  );
  return (
    <FormDialog
      title={given === '' ? 'Set a secret' : `Set ${given} anew`}
      button="Set the secret"
      ready={name.trim() !== '' && value !== '' && origins.trim() !== ''}
      {...form}
      close={close}
    >
      {given === '' && (
        <TextInput
          label="Name"
          description="As manifests name it"
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          maxLength={64}
          spellCheck={false}
          required
          data-autofocus
        />
      )}
      <TextInput
        type="password"
        label="Value"
        description="Sealed, and never shown again"
        value={value}
        onChange={(event) => setValue(event.currentTarget.value)}
        maxLength={20_000}
        autoComplete="off"
        required
      />
      <TextInput
        label="May be sent to"
        description="Origins, such as https://auth.example.com; it goes nowhere else"
        value={origins}
        onChange={(event) => setOrigins(event.currentTarget.value)}
        spellCheck={false}
        required
      />
      <TextInput
        label="Looked after by (optional)"
        description="Whoever is asked for a new one"
        type="email"
        value={owner}
        onChange={(event) => setOwner(event.currentTarget.value)}
        maxLength={254}
      />
      <TextInput
        label="A new one is due after so many days (optional)"
        type="number"
        min={1}
        max={3_650}
        value={days}
        onChange={(event) => setDays(event.currentTarget.value)}
      />
    </FormDialog>
  );
}

function RotateSecret({ secret: { name, usedBy }, close }: { secret: SecretView; close: () => void }) {
  const { form } = useChange(() => call('POST /secrets/:name/rotate', { params: { name } }), {
    refresh: ['secrets'],
    done: close,
  });
  return (
    <FormDialog title={`Rotate ${name}`} button="Rotate" ready {...form} close={close}>
      <p>
        The user that {usedBy.join(', ')} signs in as gets a new random password, which nobody sees. The one before
        opens nothing from then on; leases go on.
      </p>
    </FormDialog>
  );
}

function DeleteSecret({ secret: { name, usedBy }, close }: { secret: SecretView; close: () => void }) {
  const { form } = useChange(() => call('DELETE /secrets/:name', { params: { name } }), {
    refresh: ['secrets'],
    done: close,
  });
  return (
    <Confirm title={`Delete the secret ${name}?`} button="Delete" {...form} close={close}>
      <p>
        {usedBy.length === 0
          ? 'Nothing names it. Its value can’t be brought back.'
          : `${usedBy.join(', ')} ${usedBy.length === 1 ? 'names' : 'name'} it: take it out of the manifest first.`}
      </p>
    </Confirm>
  );
}
