import { endedWords } from '@gatehouse/protocol/ended-credentials';
import { Skeleton, TextInput } from '@mantine/core';
import { IconArrowBackUp } from '@tabler/icons-react';
import { useMutation, useQuery } from '@tanstack/react-query';
import { Link, useNavigate, useParams } from '@tanstack/react-router';
import { useState } from 'react';
import { useChange } from '../../api/change.ts';
import { call } from '../../api/client.ts';
import { versionQuery } from '../../api/queries.ts';
import { needsRole, useSession } from '../../app/session.ts';
import { actorName } from '../../lib/words.ts';
import { AllowedButton } from '../../ui/allowed-button.tsx';
import { Badge } from '../../ui/badge.tsx';
import { FormDialog } from '../../ui/dialog.tsx';
import { notify } from '../../ui/notices.tsx';
import { Card, Fact, Facts, Failure, Page, Section } from '../../ui/page.tsx';
import { Identifier, Json, PlainText } from '../../ui/text.tsx';
import { When } from '../../ui/when.tsx';
import { ShownChanges } from '../consent/shown-changes.tsx';

export function VersionPage() {
  const { number } = useParams({ from: '/house/policy/versions/$number' });
  const version = useQuery(versionQuery(number));
  const crumb = (
    <Link to="/policy/versions" className="gh-link">
      Versions
    </Link>
  );
  const shown = version.data;
  if (!shown) {
    return (
      <Page title={`Version ${number}`} crumb={crumb}>
        {version.error ? (
          <Failure error={version.error} retry={() => void version.refetch()} />
        ) : (
          <Skeleton height={240} radius="md" />
        )}
      </Page>
    );
  }
  return (
    <Page
      title={`Version ${number}`}
      crumb={crumb}
      heading={
        <>
          <span>Version {number}</span> {shown.current && <Badge hue="green">in force</Badge>}
        </>
      }
      actions={!shown.current && <GoBack number={shown.number} />}
    >
      <Section title="What it is">
        <Card>
          <Facts>
            <Fact name="Made">
              <When at={shown.at} as="both" /> by {actorName(shown.by)}
            </Fact>
            {shown.approvedBy && <Fact name="Shipped by">{actorName(shown.approvedBy)}</Fact>}
            {shown.proposal !== null && (
              <Fact name="From">
                <Link to="/policy/proposals/$number" params={{ number: String(shown.proposal) }} className="gh-link">
                  proposal {shown.proposal}
                </Link>
              </Fact>
            )}
            {shown.rollbackTo !== null && <Fact name="Went back to">version {shown.rollbackTo}</Fact>}
            {shown.note && (
              <Fact name="Why">
                <PlainText text={shown.note} />
              </Fact>
            )}
            <Fact name="Decisions carry">
              <Identifier value={shown.policyVersion} what="policy version" short />
            </Fact>
            {shown.changes.map((change) => (
              <Fact key={change} name="Change">
                <PlainText text={change} />
              </Fact>
            ))}
          </Facts>
        </Card>
      </Section>
      <Section title="Manifests" count={shown.manifests.length}>
        <Card>
          <details>
            <summary>What it was made of</summary>
            <Json value={shown.manifests} />
          </details>
        </Card>
      </Section>
    </Page>
  );
}

function GoBack({ number }: { number: number }) {
  const obstacle = needsRole(useSession(), ['admin'], 'Going back to a version');
  const [asking, setAsking] = useState(false);
  const params = { number };
  const plan = useMutation({
    mutationFn: () => call('POST /policy/versions/:number/plan', { params }),
    onSuccess: () => setAsking(true),
  });
  return (
    <>
      <AllowedButton
        obstacle={obstacle}
        leftSection={<IconArrowBackUp size={15} />}
        loading={plan.isPending}
        onClick={() => plan.mutate()}
      >
        Go back to it…
      </AllowedButton>
      {plan.error && <Failure error={plan.error} />}
      {asking && plan.data && (
        <Confirmation
          number={number}
          changes={plan.data.changes}
          notes={plan.data.notes}
          ends={endedWords(plan.data.ends)}
          close={() => setAsking(false)}
        />
      )}
    </>
  );
}

interface ConfirmationProps {
  number: number;
  changes: Parameters<typeof ShownChanges>[0]['changes'];
  notes: string[];
  ends: string | undefined;
  close: () => void;
}

function Confirmation({ number, changes, notes, ends, close }: ConfirmationProps) {
  const navigate = useNavigate();
  const [note, setNote] = useState('');
  const differing = changes.filter(({ operation }) => operation !== 'unchanged');
  const { form } = useChange(
    () => call('POST /policy/versions/:number/rollback', { params: { number }, body: { note } }),
    {
      refresh: ['policies', 'versions', 'proposals', 'templates'],
      done: ({ proposed, version }) => {
        close();
        if (proposed) {
          void navigate({ to: '/policy/proposals/$number', params: { number: String(proposed.number) } });
          return;
        }
        notify({
          color: 'green',
          title: 'In force',
          message: `What decides is that of version ${number}, as version ${version}.`,
        });
        void navigate({ to: '/policy/versions' });
      },
    },
  );
  return (
    <FormDialog
      title={`Go back to version ${number}`}
      close={close}
      size="lg"
      button="Go back"
      ready={differing.length > 0}
      {...form}
    >
      <p>What could let through what is stopped waits for a second person; the rest is in force at once.</p>
      {differing.length === 0 && <p>Nothing would change.</p>}
      <ShownChanges changes={differing} />
      {ends && <p>It ends {ends}.</p>}
      {notes.map((each) => (
        <p key={each}>
          <PlainText text={each} />
        </p>
      ))}
      <TextInput label="Why" value={note} onChange={(event) => setNote(event.currentTarget.value)} maxLength={1_000} />
    </FormDialog>
  );
}
