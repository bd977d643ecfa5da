import type { PolicyFileView } from '@gatehouse/protocol';
import { Button, Skeleton, TextInput } from '@mantine/core';
import { IconPencil, IconTrash } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams } from '@tanstack/react-router';
import { useState } from 'react';
import { useChange } from '../../api/change.ts';
import { call } from '../../api/client.ts';
import { policyQuery } from '../../api/queries.ts';
import { needsRole, useSession } from '../../app/session.ts';
import { AllowedButton } from '../../ui/allowed-button.tsx';
import { Confirm } from '../../ui/dialog.tsx';
import { notify } from '../../ui/notices.tsx';
import { Failure, Page, Section } from '../../ui/page.tsx';
import { CedarText } from './cedar-text.tsx';
import { EditPolicy } from './edit-policy.tsx';
import { FileBadges } from './files-page.tsx';

export function PolicyFilePage() {
  const { name } = useParams({ from: '/house/policy/files/$name' });
  const file = useQuery(policyQuery(name));
  /** The text that is edited, and the file as it was when that began. */
  const [begun, setBegun] = useState<PolicyFileView>();
  const [removing, setRemoving] = useState(false);
  const session = useSession();
  const crumb = (
    <Link to="/policy/files" className="gh-link">
      Policies
    </Link>
  );
  if (!file.data) {
    return (
      <Page title={name} crumb={crumb}>
        {file.error ? (
          <Failure error={file.error} retry={() => void file.refetch()} />
        ) : (
          <Skeleton height={320} radius="md" />
        )}
      </Page>
    );
  }
  const shown = file.data;
  return (
    <Page
      title={name}
      crumb={crumb}
      heading={
        <>
          <span className="gh-mono">{name}</span>
          <FileBadges {...shown} />
        </>
      }
      actions={
        !shown.builtIn &&
        !begun && (
          <>
            <Button variant="default" leftSection={<IconPencil size={15} />} onClick={() => setBegun(shown)}>
              Edit a copy
            </Button>
            <AllowedButton
              obstacle={needsRole(session, ['admin'], 'Taking a policy away')}
              leftSection={<IconTrash size={15} />}
              onClick={() => setRemoving(true)}
            >
              Delete…
            </AllowedButton>
          </>
        )
      }
    >
      {begun ? (
        <EditPolicy file={begun} leave={() => setBegun(undefined)} />
      ) : (
        <Section title="Text">
          <CedarText text={shown.cedar} label={`Text of ${name}`} />
        </Section>
      )}
      {removing && <Remove name={name} close={() => setRemoving(false)} />}
    </Page>
  );
}

/** What it permits ends at once; what it forbids is a relaxation, which may have to wait for somebody. */
function Remove({ name, close }: { name: string; close: () => void }) {
  const navigate = useNavigate();
  const [note, setNote] = useState('');
  const { form } = useChange(() => call('POST /policies/:name/remove', { params: { name }, body: { note } }), {
    refresh: ['policies', 'versions', 'proposals'],
    done: ({ proposed }) => {
      if (proposed) {
        void navigate({ to: '/policy/proposals/$number', params: { number: String(proposed.number) } });
        return;
      }
      notify({ color: 'green', title: 'Deleted', message: `${name} decides no more.` });
      void navigate({ to: '/policy/files' });
    },
  });
  return (
    <Confirm title={`Delete ${name}?`} button="Delete" close={close} {...form}>
      <p>
        What only it permits is refused at once. If it forbids or raises anything, that is let through without it: in
        production somebody else has to agree first. The version before stays, and one can go back to it.
      </p>
      <TextInput
        label="Why (for whoever ships it, and for who reads the versions later)"
        value={note}
        onChange={(event) => setNote(event.currentTarget.value)}
        maxLength={1_000}
        data-autofocus
      />
    </Confirm>
  );
}
