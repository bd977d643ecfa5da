import type { ProviderAbilities, ProviderView } from '@gatehouse/protocol';
import { residualOf, secondsWords } from '@gatehouse/protocol/residual';
import { IconBuildingFactory2, IconCheck, IconX } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { providersQuery } from '../../api/credential-queries.ts';
import { commands } from '../../lib/commands.ts';
import { kindWords } from '../../lib/lease-words.ts';
import { Badge, EnvironmentBadge } from '../../ui/badge.tsx';
import { type Column, DataTable } from '../../ui/data-table.tsx';
import { Empty } from '../../ui/page.tsx';
import { Command, Name, PlainText } from '../../ui/text.tsx';
import { When } from '../../ui/when.tsx';
import classes from './credentials.module.css';
import { CredentialsPage } from './credentials-page.tsx';
import { TestProvider } from './test-provider.tsx';

export function ProvidersPage() {
  const providers = useQuery(providersQuery);
  return (
    <CredentialsPage
      title="Providers"
      about="Who makes credentials, what each can do with them once they are out, and whether it would make one now."
    >
      <DataTable
        label="Providers"
        rows={providers.data?.items}
        rowKey={({ name }) => name}
        link={({ name }) => ({ to: '/leases', search: { provider: name } })}
        columns={columns}
        error={providers.error}
        retry={() => void providers.refetch()}
        empty={
          <Empty
            icon={IconBuildingFactory2}
            title="No provider is declared"
            about="Without one, tools that need a key have it for every task and for ever. Apply a manifest of kind CredentialProvider; docs/how-to/give-tools-just-in-time-credentials.md has one for each kind."
          >
            <Command>{commands.apply()}</Command>
          </Empty>
        }
      />
    </CredentialsPage>
  );
}

const columns: Column<ProviderView>[] = [
  { header: 'Name', cell: ({ name }) => <Name of={name} /> },
  {
    header: 'Makes',
    cell: ({ type, life }) => (
      <>
        {kindWords(type)}
        <small className="gh-quiet">
          {' '}
          for {secondsWords(life.defaultSeconds)}, {secondsWords(life.maxSeconds)} at most
        </small>
      </>
    ),
  },
  {
    header: 'In',
    cell: ({ environments }) => (
      <span className={classes.badges}>
        {environments.map((name) => (
          <EnvironmentBadge key={name} name={name} />
        ))}
      </span>
    ),
  },
  { header: 'Can', cell: ({ abilities }) => <Abilities of={abilities} />, width: '26%' },
  { header: 'Health', cell: (provider) => <Health of={provider} />, width: '20%' },
  { header: 'Credentials', cell: (provider) => <Counts of={provider} /> },
  { header: '', cell: ({ name }) => <TestProvider name={name} />, width: '20%' },
];

/** As people who rely on it must know: what it can't do stands there as well. */
export function Abilities({ of }: { of: ProviderAbilities }) {
  const { words, remains } = residualOf(of);
  const lines: [boolean, string][] = [
    [
      of.canNarrow,
      of.canNarrow ? 'makes them as narrow as is asked' : 'can’t make them narrower: each may do all of it',
    ],
    [
      remains === 'nothing',
      {
        nothing: `when revoked, ${words}`,
        'until-expiry': `can’t take them back: each works until its time is over${of.sessionsOutlive ? ', and what was opened with it longer' : ''}`,
        stored: 'can’t take them back: what is stored works until somebody changes it there',
      }[remains],
    ],
  ];
  if (of.endsOnlyByGatehouse)
    lines.push([false, 'nothing there ends one when its time is over: while Gatehouse is away it works on']);
  if (of.pastItsTimeSeconds !== undefined)
    lines.push([
      false,
      `ends there up to ${secondsWords(of.pastItsTimeSeconds)} after its time: while Gatehouse or it is away one works on until then`,
    ]);
  return (
    <ul className={classes.abilities}>
      {lines.map(([yes, line]) => (
        <li key={line}>
          {yes ? (
            <IconCheck size={14} color="var(--gh-green-fg)" aria-label="yes:" />
          ) : (
            <IconX size={14} color="var(--gh-orange-fg)" aria-label="no:" />
          )}
          <span>{line}</span>
        </li>
      ))}
    </ul>
  );
}

function Health({ of: { ok, problem, failingSince } }: { of: ProviderView }) {
  if (ok) return <Badge hue="green">ok</Badge>;
  return (
    <span className="gh-break">
      <Badge hue="red">failing</Badge>{' '}
      {failingSince !== null && (
        <>
          since <When at={failingSince} as="relative" />:{' '}
        </>
      )}
      <PlainText text={problem ?? 'it does not answer'} />
    </span>
  );
}

function Counts({ of: { name, openLeases, stuckLeases } }: { of: ProviderView }) {
  return (
    <>
      <span className="gh-numbers">{openLeases} out</span>
      {stuckLeases > 0 && (
        <>
          {' '}
          <Link to="/leases" search={{ provider: name, state: 'stuck' }} className="gh-link">
            <Badge hue="red">{stuckLeases} stuck</Badge>
          </Link>
        </>
      )}
    </>
  );
}
