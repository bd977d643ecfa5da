import type { ProposalView } from '@gatehouse/protocol';
import { Button, Skeleton, TextInput } from '@mantine/core';
import { IconBan, IconFingerprint } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { useState } from 'react';
import { useChange } from '../../api/change.ts';
import { call } from '../../api/client.ts';
import { shipWithPasskey } from '../../api/passkeys.ts';
import { proposalQuery } from '../../api/queries.ts';
import { needsRole, useSession } from '../../app/session.ts';
import { actorName } from '../../lib/words.ts';
import { AllowedButton } from '../../ui/allowed-button.tsx';
import { FormDialog } from '../../ui/dialog.tsx';
import { notify } from '../../ui/notices.tsx';
import { Card, Fact, Facts, Failure, Page, Section } from '../../ui/page.tsx';
import { Identifier, Json, PlainText } from '../../ui/text.tsx';
import { TimeLeft, When } from '../../ui/when.tsx';
import { ShownChanges } from '../consent/shown-changes.tsx';
import { ProposalBadge } from './proposals-page.tsx';
import { Rehearse } from './rehearse.tsx';

/** Keys whose queries a shipped change makes outdated. */
const DECIDING = ['policies', 'versions', 'proposals', 'templates'];

export function ProposalPage() {
  const { number } = useParams({ from: '/house/policy/proposals/$number' });
  const queries = useQueryClient();
  const proposal = useQuery(proposalQuery(number));
  const crumb = (
    <Link to="/policy/proposals" className="gh-link">
      Proposals
    </Link>
  );
  const shown = proposal.data;
  if (!shown) {
    return (
      <Page title={`Proposal ${number}`} crumb={crumb}>
        {proposal.error ? (
          <Failure error={proposal.error} retry={() => void proposal.refetch()} />
        ) : (
          <Skeleton height={320} radius="md" />
        )}
      </Page>
    );
  }
  return (
    <Page
      title={`Proposal ${number}`}
      crumb={crumb}
      heading={
        <>
          <span>Proposal {number}</span> <ProposalBadge state={shown.state} />
        </>
      }
      about={shown.note && <PlainText text={shown.note} />}
    >
      <Section title="What it is">
        <Card>
          <ProposalFacts proposal={shown} />
        </Card>
      </Section>
      <Section title="What it would change on what was recorded">
        {shown.replay === null && shown.state === 'open' && (
          <p className="gh-quiet" style={{ margin: '0 0 10px', fontSize: 13 }}>
            It is being rehearsed on the last 30 days; the result shows here by itself.
          </p>
        )}
        <Rehearse
          change={{ proposal: shown.number }}
          ready={shown.state === 'open'}
          kept={shown.replay}
          done={() => void queries.invalidateQueries({ queryKey: ['proposals'] })}
        />
      </Section>
      <Section title="Changes" count={shown.changes.length}>
        <div style={{ display: 'grid', gap: 12 }}>
          <ShownChanges changes={shown.changes} />
          <Card>
            <details>
              <summary>The manifests, whole</summary>
              <Json value={shown.manifests} />
            </details>
          </Card>
        </div>
      </Section>
      {shown.state === 'open' && (
        <Section title="Decide">
          <Decide proposal={shown} />
        </Section>
      )}
    </Page>
  );
}

function ProposalFacts({ proposal }: { proposal: ProposalView }) {
  const { author, base, createdAt, expiresAt, state, relaxes, agreedBy, decidedBy, decidedAt, reason, digest } =
    proposal;
  return (
    <Facts>
      <Fact name="Made">
        <When at={createdAt} as="both" /> by {actorName(author)}, against version {base}
      </Fact>
      {state === 'open' && (
        <Fact name="Waits until">
          <When at={expiresAt} /> <TimeLeft until={expiresAt} />
        </Fact>
      )}
      {relaxes.map(({ kind, name, why }) => (
        <Fact key={`${kind} ${name} ${why}`} name="Relaxes">
          {kind} <PlainText text={name} />: <PlainText text={why} />
        </Fact>
      ))}
      {agreedBy !== null && (
        <Fact name="First yes">
          {actorName(agreedBy)}: the token of the server’s host says nothing about who wrote it, so that it takes two
          people
        </Fact>
      )}
      {decidedBy !== null && decidedAt !== null && (
        <Fact name="Decided">
          by {actorName(decidedBy)}, <When at={decidedAt} as="both" />
          {reason && (
            <>
              : “<PlainText text={reason} />”
            </>
          )}
        </Fact>
      )}
      <Fact name="Digest">
        <Identifier value={digest} what="digest" short />
      </Fact>
    </Facts>
  );
}

/** Yes needs the passkey of somebody else than the author, over the digest of exactly what is shown. */
function Decide({ proposal }: { proposal: ProposalView }) {
  const session = useSession();
  const queries = useQueryClient();
  const [rejecting, setRejecting] = useState(false);
  const ship = useMutation({
    mutationFn: () => shipWithPasskey(proposal.number, proposal.digest),
    onSuccess: ({ state }) =>
      notify(
        state === 'open'
          ? {
              title: 'The first of two',
              message: 'Your yes is kept. Nothing is in force until somebody else says yes as well.',
            }
          : { color: 'green', title: 'Shipped', message: `Proposal ${proposal.number} is in force.` },
      ),
    // Also after a refusal: somebody else may have decided meanwhile.
    onSettled: () => {
      for (const key of DECIDING) void queries.invalidateQueries({ queryKey: [key] });
    },
  });
  const obstacle = proposal.mayShip.may ? null : (proposal.mayShip.why ?? 'You may not ship this.');
  return (
    <div style={{ display: 'grid', gap: 12 }}>
      <div style={{ display: 'flex', flexWrap: 'wrap', alignItems: 'center', gap: 8 }}>
        <Button
          leftSection={<IconFingerprint size={17} />}
          loading={ship.isPending}
          disabled={obstacle !== null}
          onClick={() => ship.mutate()}
        >
          Ship with passkey
        </Button>
        <AllowedButton
          obstacle={needsRole(session, ['admin', 'security'], 'Rejecting a proposal')}
          leftSection={<IconBan size={16} />}
          disabled={ship.isPending}
          onClick={() => setRejecting(true)}
        >
          Reject…
        </AllowedButton>
      </div>
      {obstacle !== null && <p className="gh-quiet">{obstacle}</p>}
      {ship.error && <Failure error={ship.error} />}
      {rejecting && <Reject number={proposal.number} close={() => setRejecting(false)} />}
    </div>
  );
}

function Reject({ number, close }: { number: number; close: () => void }) {
  const [reason, setReason] = useState('');
  const { form } = useChange(
    () => call('POST /policy/proposals/:number/reject', { params: { number }, body: { reason } }),
    { refresh: DECIDING, done: close },
  );
  return (
    <FormDialog title={`Reject proposal ${number}`} close={close} button="Reject" grave {...form}>
      <TextInput
        label="Why not? (optional; its author and the record get it)"
        value={reason}
        onChange={(event) => setReason(event.currentTarget.value)}
        maxLength={500}
        data-autofocus
      />
    </FormDialog>
  );
}
