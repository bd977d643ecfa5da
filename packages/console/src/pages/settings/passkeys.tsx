import type { Api } from '@gatehouse/protocol';
import { ActionIcon, Button, Modal, TextInput } from '@mantine/core';
import { IconKey, IconPencil, IconPlus, IconTrash } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, type ReactNode, useState } from 'react';
import { call } from '../../api/client.ts';
import { enrolPasskey } from '../../api/passkeys.ts';
import { passkeysQuery, sessionQuery } from '../../api/queries.ts';
import { thisDevice } from '../../lib/device.ts';
import { DataTable } from '../../ui/data-table.tsx';
import { Empty, Failure, Section } from '../../ui/page.tsx';
import { When } from '../../ui/when.tsx';
import classes from './settings.module.css';

type Passkey = Api['GET /passkeys']['items'][number];
type Doing = { what: 'add' } | { what: 'rename' | 'remove'; passkey: Passkey };

export function Passkeys() {
  const passkeys = useQuery(passkeysQuery);
  const [doing, setDoing] = useState<Doing | null>(null);
  const close = () => setDoing(null);
  return (
    <Section
      title="Your passkeys"
      count={passkeys.data?.items.length}
      actions={
        <Button variant="default" leftSection={<IconPlus size={14} />} onClick={() => setDoing({ what: 'add' })}>
          Add a passkey
        </Button>
      }
    >
      <DataTable
        label="Your passkeys"
        rows={passkeys.data?.items}
        rowKey={({ id }) => id}
        columns={[
          { header: 'Name', cell: ({ name }) => name },
          { header: 'Made', cell: ({ createdAt }) => <When at={createdAt} /> },
          {
            header: 'Last used',
            cell: ({ lastUsedAt }) => (lastUsedAt === null ? 'never' : <When at={lastUsedAt} as="relative" />),
          },
          {
            header: '',
            align: 'end',
            cell: (passkey) => (
              <>
                <ActionIcon
                  aria-label={`Rename ${passkey.name}`}
                  title="Rename"
                  onClick={() => setDoing({ what: 'rename', passkey })}
                >
                  <IconPencil size={16} />
                </ActionIcon>
                <ActionIcon
                  aria-label={`Remove ${passkey.name}`}
                  title="Remove"
                  onClick={() => setDoing({ what: 'remove', passkey })}
                >
                  <IconTrash size={16} />
                </ActionIcon>
              </>
            ),
          },
        ]}
        error={passkeys.error}
        retry={() => void passkeys.refetch()}
        empty={<Empty icon={IconKey} title="No passkey" about="Add one, so that you can sign in again." />}
      />
      {doing?.what === 'add' && <Add close={close} />}
      {doing?.what === 'rename' && <Rename passkey={doing.passkey} close={close} />}
      {doing?.what === 'remove' && <Remove passkey={doing.passkey} close={close} />}
    </Section>
  );
}

function Add({ close }: { close: () => void }) {
  const queries = useQueryClient();
  const [name, setName] = useState(thisDevice);
  const add = useMutation({
    mutationFn: () => enrolPasskey(name.trim()),
    onSuccess: (session) => {
      queries.setQueryData(sessionQuery.queryKey, session);
      void queries.invalidateQueries({ queryKey: ['passkeys'] });
      void queries.invalidateQueries({ queryKey: ['sessions'] });
      close();
    },
  });
  return (
    <NameDialog
      title="Add a passkey"
      about="On this device, or on a key or phone that the browser offers."
      button="Create the passkey"
      name={name}
      setName={setName}
      pending={add.isPending}
      error={add.error}
      submit={() => add.mutate()}
      close={close}
    />
  );
}

function Rename({ passkey, close }: { passkey: Passkey; close: () => void }) {
  const queries = useQueryClient();
  const [name, setName] = useState(passkey.name);
  const rename = useMutation({
    mutationFn: () => call('PATCH /passkeys/:id', { params: { id: passkey.id }, body: { name: name.trim() } }),
    onSuccess: () => {
      void queries.invalidateQueries({ queryKey: ['passkeys'] });
      close();
    },
  });
  return (
    <NameDialog
      title={`Rename “${passkey.name}”`}
      button="Rename"
      name={name}
      setName={setName}
      pending={rename.isPending}
      error={rename.error}
      submit={() => rename.mutate()}
      close={close}
    />
  );
}

interface NameDialogProps {
  title: string;
  about?: ReactNode;
  button: string;
  name: string;
  setName: (name: string) => void;
  pending: boolean;
  error: unknown;
  submit: () => void;
  close: () => void;
}

function NameDialog({ title, about, button, name, setName, pending, error, submit, close }: NameDialogProps) {
  const onSubmit = (event: FormEvent) => {
    event.preventDefault();
    submit();
  };
  return (
    <Modal opened onClose={close} title={title}>
      <form onSubmit={onSubmit} className={classes.form}>
        {about && <p>{about}</p>}
        <TextInput
          label="Name"
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          maxLength={100}
          required
          data-autofocus
        />
        {error !== null && <Failure error={error} />}
        <div className={classes.buttons}>
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" loading={pending} disabled={name.trim() === ''}>
            {button}
          </Button>
        </div>
      </form>
    </Modal>
  );
}

function Remove({ passkey, close }: { passkey: Passkey; close: () => void }) {
  const queries = useQueryClient();
  const remove = useMutation({
    mutationFn: () => call('DELETE /passkeys/:id', { params: { id: passkey.id } }),
    onSuccess: () => {
      void queries.invalidateQueries({ queryKey: ['passkeys'] });
      void queries.invalidateQueries({ queryKey: ['sessions'] });
      close();
    },
  });
  return (
    <Modal opened onClose={close} title={`Remove “${passkey.name}”?`}>
      <div className={classes.form}>
        <p>It signs nothing in or off any more, and all your other sessions end. This one goes on.</p>
        {remove.error && <Failure error={remove.error} />}
        <div className={classes.buttons}>
          <Button variant="default" onClick={close} data-autofocus>
            Keep it
          </Button>
          <Button color="red.9" loading={remove.isPending} onClick={() => remove.mutate()}>
            Remove the passkey
          </Button>
        </div>
      </div>
    </Modal>
  );
}
