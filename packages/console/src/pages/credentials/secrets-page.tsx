import type { SecretView } from '@gatehouse/protocol';
import { TextInput } from '@mantine/core';
import { IconLock, IconPlus } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useChange } from '../../api/change.ts';
import { call } from '../../api/client.ts';
import { secretsQuery } from '../../api/queries.ts';
import { needsRole, useSession } from '../../app/session.ts';
import { listOf } from '../../lib/words.ts';
import { AllowedButton } from '../../ui/allowed-button.tsx';
import { DataTable } from '../../ui/data-table.tsx';
import { Confirm, FormDialog } from '../../ui/dialog.tsx';
import { Empty, Section } from '../../ui/page.tsx';
import { When } from '../../ui/when.tsx';
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
      {hidden === null ? <Secrets /> : <Empty icon={IconLock} title="Not for everybody" about={hidden} />}
    </CredentialsPage>
  );
}

function Secrets() {
  const session = useSession();
  const secrets = useQuery(secretsQuery);
  const [setting, setSetting] = useState<{ name: string; origins: string[] } | null>(null);
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
          onClick={() => setSetting({ name: '', origins: [] })}
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
          { header: 'Name', cell: ({ name }) => <code>{name}</code> },
          { header: 'Sent to', cell: ({ origins }) => <span className="gh-break">{origins.join(', ')}</span> },
          {
            header: 'Used by',
            cell: ({ usedBy }) => (usedBy.length === 0 ? <span className="gh-quiet">nothing</span> : usedBy.join(', ')),
          },
          { header: 'Set', cell: ({ updatedAt }) => <When at={updatedAt} as="relative" /> },
          {
            header: 'Last used',
            cell: ({ lastUsedAt }) =>
              lastUsedAt === null ? (
                <span className="gh-quiet">not known</span>
              ) : (
                <When at={lastUsedAt} as="relative" />
              ),
          },
          { header: 'Looked after by', cell: ({ owner }) => owner ?? <span className="gh-quiet">nobody said</span> },
          {
            header: 'New one due',
            cell: ({ rotationDueAt }) =>
              rotationDueAt === null ? (
                <span className="gh-quiet">nobody said</span>
              ) : (
                <When at={rotationDueAt} as="relative" />
              ),
          },
          {
            header: '',
            align: 'end',
            cell: (secret) => (
              <span className={classes.buttons}>
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
      {deleting && <DeleteSecret secret={deleting} close={() => setDeleting(null)} />}
    </Section>
  );
}

function SetSecret({ name: given, origins: before, close }: { name: string; origins: string[]; close: () => void }) {
  const [name, setName] = useState(given);
  const [value, setValue] = useState('');
  const [origins, setOrigins] = useState(before.join(' '));
  const { form } = useChange(
    () => call('PUT /secrets/:name', { params: { name: name.trim() }, body: { value, origins: listOf(origins) } }),
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
