import type { AuthorityView, FederatedView, TrustDomainView } from '@gatehouse/protocol';
import { Skeleton } from '@mantine/core';
import { IconCertificate, IconWorld } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { useChange } from '../../api/change.ts';
import { call } from '../../api/client.ts';
import { trustDomainQuery } from '../../api/queries.ts';
import { needsRole, useSession } from '../../app/session.ts';
import { commands } from '../../lib/commands.ts';
import { Badge } from '../../ui/badge.tsx';
import { type Column, DataTable } from '../../ui/data-table.tsx';
import { KeyState } from '../../ui/key-state.tsx';
import { notify } from '../../ui/notices.tsx';
import { Card, Empty, Fact, Facts, Failure, Section } from '../../ui/page.tsx';
import { Command, Identifier } from '../../ui/text.tsx';
import { When } from '../../ui/when.tsx';
import classes from './identity.module.css';
import { IdentityPage } from './identity-page.tsx';
import { Rotate, RotateButtons } from './rotate.tsx';

type Rotating = { keys: 'x509' | 'jwt'; compromised: boolean };

export function TrustDomainPage() {
  const domain = useQuery(trustDomainQuery);
  const [rotating, setRotating] = useState<Rotating | null>(null);
  return (
    <IdentityPage
      title="Trust domain"
      about="The authority that gives agents, tasks and workloads their SPIFFE identities (SVIDs), and the foreign domains whose identities it can check."
    >
      {domain.error && <Failure error={domain.error} retry={() => void domain.refetch()} />}
      {domain.isPending && <Skeleton height={360} radius="md" />}
      {domain.data && (
        <>
          <Section title="This domain">
            <Card>
              <DomainFacts domain={domain.data} />
            </Card>
          </Section>
          <Section
            title="Certificate authorities"
            count={domain.data.authorities.length}
            actions={<Moves keys="x509" rotate={setRotating} />}
          >
            <DataTable
              label="Certificate authorities"
              rows={domain.data.authorities}
              rowKey={({ id }) => id}
              columns={authorityColumns}
              empty={<Empty icon={IconCertificate} title="No authority" about="It is made when the server starts." />}
            />
          </Section>
          <Section
            title="JWT-SVID keys"
            count={domain.data.jwtKeys.length}
            actions={<Moves keys="jwt" rotate={setRotating} />}
          >
            <DataTable
              label="JWT-SVID keys"
              rows={domain.data.jwtKeys}
              rowKey={({ id }) => id}
              columns={[
                { header: 'Key', cell: ({ id }) => <Identifier value={id} what="key id" /> },
                { header: 'State', cell: ({ state }) => <KeyState state={state} /> },
                { header: 'Made', cell: ({ createdAt }) => <When at={createdAt} as="relative" /> },
                { header: 'Signs from', cell: ({ signsFrom }) => <When at={signsFrom} /> },
              ]}
              empty={<Empty icon={IconCertificate} title="No key yet" about="The first is made when it is needed." />}
            />
          </Section>
          <Section title="Foreign trust domains" count={domain.data.federated.length}>
            <DataTable
              label="Foreign trust domains"
              rows={domain.data.federated}
              rowKey={({ name }) => name}
              columns={federatedColumns}
              empty={
                <Empty
                  icon={IconWorld}
                  title="It federates with nobody"
                  about="Declare a TrustDomain with its bundle’s address, then a trust rule that says whom its identities stand for:"
                >
                  <Command>{commands.apply()}</Command>
                </Empty>
              }
            />
          </Section>
        </>
      )}
      {rotating && <RotateDomain {...rotating} close={() => setRotating(null)} />}
    </IdentityPage>
  );
}

function DomainFacts({ domain: { name, sequence, refreshHintSeconds } }: { domain: TrustDomainView }) {
  return (
    <Facts>
      <Fact name="Name">
        <Identifier value={`spiffe://${name}`} what="trust domain" />
      </Fact>
      <Fact name="Bundle">
        <Identifier value={`${location.origin}/.well-known/spiffe/bundle`} what="address of the bundle" />
      </Fact>
      <Fact name="Sequence">
        <span className="gh-numbers" title="Grows with every change of the bundle">
          {sequence}
        </span>
      </Fact>
      <Fact name="Others ask again">every {refreshHintSeconds} s</Fact>
    </Facts>
  );
}

function Moves({ keys, rotate }: { keys: Rotating['keys']; rotate: (rotating: Rotating) => void }) {
  const session = useSession();
  const obstacle = needsRole(session, ['admin', 'security'], 'Rotating keys');
  return <RotateButtons obstacle={obstacle} rotate={(compromised) => rotate({ keys, compromised })} />;
}

const authorityColumns: Column<AuthorityView>[] = [
  { header: 'Kind', cell: ({ kind }) => (kind === 'root' ? 'Root' : 'Intermediate') },
  { header: 'State', cell: ({ state }) => <KeyState state={state} /> },
  { header: 'SHA-256', cell: ({ id }) => <Identifier value={id} what="SHA-256 of the certificate" short /> },
  {
    header: 'Its key',
    cell: ({ keyHeldHere, kind }) =>
      keyHeldHere ? (
        <span className={classes.badges}>here, sealed</span>
      ) : (
        <Badge hue="green" title="Nobody who gets into this server can sign with it">
          {kind === 'root' ? 'kept elsewhere' : 'gone'}
        </Badge>
      ),
  },
  { header: 'Made', cell: ({ createdAt }) => <When at={createdAt} as="relative" />, hide: 'medium' },
  { header: 'Runs out', cell: ({ notAfter }) => <When at={notAfter} /> },
];

const freshness = {
  fresh: { label: 'Fresh', hue: 'green', means: 'Its bundle was fetched in time' },
  stale: { label: 'Stale', hue: 'amber', means: 'Its bundle is old and still counts, for a day at least' },
  expired: {
    label: 'Expired',
    hue: 'red',
    means: 'Its bundle is so old that it counts for nothing: nobody of it comes in',
  },
  waiting: { label: 'Never reached', hue: 'red', means: 'Nothing of it can be verified yet' },
} as const;

const federatedColumns: Column<FederatedView>[] = [
  { header: 'Domain', cell: ({ name }) => name },
  {
    header: 'State',
    cell: ({ state }) => (
      <Badge hue={freshness[state].hue} title={freshness[state].means}>
        {freshness[state].label}
      </Badge>
    ),
  },
  { header: 'Roots / JWT keys', cell: ({ x509Roots, jwtKeys }) => `${x509Roots} / ${jwtKeys}` },
  {
    header: 'Fetched',
    cell: ({ fetchedAt }) => (fetchedAt === null ? 'never' : <When at={fetchedAt} as="relative" />),
  },
  {
    header: 'Problem',
    cell: ({ problem }) => problem && <span className="gh-break">{problem}</span>,
  },
];

function RotateDomain({ keys, compromised, close }: Rotating & { close: () => void }) {
  const what = keys === 'x509' ? 'intermediate' : 'jwt';
  const { form } = useChange(() => call('POST /trust-domain/rotate', { body: { keys, compromised } }), {
    refresh: ['trust-domain', 'keys', 'agents'],
    done() {
      notify({
        message: compromised ? 'The keys of now are destroyed; a new one signs.' : 'The next key is published.',
      });
      close();
    },
  });
  return <Rotate what={what} compromised={compromised} close={close} {...form} />;
}
