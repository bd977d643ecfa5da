import type { ScimTokenView } from '@gatehouse/protocol';
import { NumberInput, TextInput } from '@mantine/core';
import { IconPlus, IconUsersGroup } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useChange } from '../../api/change.ts';
import { call } from '../../api/client.ts';
import { providersQuery, scimTokensQuery } from '../../api/queries.ts';
import { needsRole, useSession } from '../../app/session.ts';
import { actorName } from '../../lib/words.ts';
import { AllowedButton } from '../../ui/allowed-button.tsx';
import { DataTable } from '../../ui/data-table.tsx';
import { Confirm, FormDialog, ShownOnce } from '../../ui/dialog.tsx';
import { Card, Empty, Fact, Facts, Failure, Section } from '../../ui/page.tsx';
import { Command } from '../../ui/text.tsx';
import { When } from '../../ui/when.tsx';
import classes from './identity.module.css';

/** Where people come from: the company's sign-in, and its directory. */
export function Directories() {
  return (
    <>
      <Providers />
      <ScimTokens />
    </>
  );
}

function Providers() {
  const providers = useQuery(providersQuery);
  return (
    <Section title="Identity providers" count={providers.data?.items.length}>
      {providers.error && <Failure error={providers.error} retry={() => void providers.refetch()} />}
      {providers.data && (
        <Card padded={providers.data.items.length > 0}>
          {providers.data.items.length === 0 ? (
            <Empty
              icon={IconUsersGroup}
              title="People sign in with passkeys only"
              about="To let them sign in with the company’s provider, declare an IdentityProvider in the workspace’s files."
            />
          ) : (
            <Facts>
              {providers.data.items.map(({ name, displayName }) => (
                <Fact key={name} name={name}>
                  {displayName}
                </Fact>
              ))}
            </Facts>
          )}
        </Card>
      )}
    </Section>
  );
}

function ScimTokens() {
  const session = useSession();
  const tokens = useQuery(scimTokensQuery);
  const [making, setMaking] = useState(false);
  const [revoking, setRevoking] = useState<ScimTokenView | null>(null);
  const obstacle = needsRole(session, ['admin'], 'Connecting a directory');
  return (
    <Section
      title="Directory tokens (SCIM)"
      count={tokens.data?.items.length}
      actions={
        <AllowedButton leftSection={<IconPlus size={14} />} obstacle={obstacle} onClick={() => setMaking(true)}>
          Make a token
        </AllowedButton>
      }
    >
      <DataTable
        label="Directory tokens"
        rows={tokens.data?.items}
        rowKey={({ id }) => id}
        columns={[
          { header: 'Name', cell: ({ name }) => name },
          { header: 'Made by', cell: ({ createdBy }) => <span className="gh-break">{actorName(createdBy)}</span> },
          { header: 'Made', cell: ({ createdAt }) => <When at={createdAt} />, hide: 'medium' },
          {
            header: 'Last used',
            cell: ({ lastUsedAt }) => (lastUsedAt === null ? 'never' : <When at={lastUsedAt} as="relative" />),
          },
          { header: 'Runs out', cell: ({ expiresAt }) => (expiresAt === null ? 'never' : <When at={expiresAt} />) },
          {
            header: '',
            align: 'end',
            cell: (token) => (
              <AllowedButton obstacle={obstacle} onClick={() => setRevoking(token)} aria-label={`Revoke ${token.name}`}>
                Revoke
              </AllowedButton>
            ),
          },
        ]}
        error={tokens.error}
        retry={() => void tokens.refetch()}
        empty={
          <Empty
            icon={IconUsersGroup}
            title="No directory is connected"
            about="Make a token and give it to the company’s directory: then people and groups come from there, and who leaves there leaves here."
          />
        }
      />
      {making && <MakeToken close={() => setMaking(false)} />}
      {revoking && <RevokeToken token={revoking} close={() => setRevoking(null)} />}
    </Section>
  );
}

function MakeToken({ close }: { close: () => void }) {
  const [name, setName] = useState('');
  const [days, setDays] = useState<number | string>(365);
  const { answer, form } = useChange(
    () =>
      call('POST /scim/tokens', {
        body: { name: name.trim(), ...(typeof days === 'number' && { expiresInDays: days }) },
      }),
    { refresh: ['scim-tokens'] },
  );
  if (answer)
    return (
      <ShownOnce
        title={`Token “${answer.name}”`}
        value={answer.token}
        about="The token. It is shown only now: whoever has it can add people here and make them leave."
        close={close}
      >
        <p>Base URL, for the directory’s settings:</p>
        <Command>{answer.url}</Command>
      </ShownOnce>
    );
  return (
    <FormDialog
      title="Make a token for a directory"
      button="Make the token"
      ready={name.trim() !== ''}
      {...form}
      close={close}
    >
      <TextInput
        label="Name"
        description="So that you know later which directory has it"
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        maxLength={100}
        required
        data-autofocus
      />
      <NumberInput
        size="xs"
        label="Runs out after"
        description="Leave it empty for a token that never runs out"
        value={days}
        onChange={setDays}
        min={1}
        max={3_650}
        suffix=" days"
        allowDecimal={false}
        hideControls
      />
    </FormDialog>
  );
}

function RevokeToken({ token, close }: { token: ScimTokenView; close: () => void }) {
  const { form } = useChange(() => call('DELETE /scim/tokens/:id', { params: { id: token.id } }), {
    refresh: ['scim-tokens'],
    done: close,
  });
  return (
    <Confirm title={`Revoke “${token.name}”?`} button="Revoke the token" {...form} close={close}>
      <p className={classes.hint}>
        The directory that has it is refused at once. People whom it sent stay as they are, and nobody is told here when
        they leave there.
      </p>
    </Confirm>
  );
}
