import type { PersonView } from '@gatehouse/protocol';
import { TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { IconSearch, IconUsers } from '@tabler/icons-react';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { peopleQuery } from '../../api/queries.ts';
import { needsRole, useSession } from '../../app/session.ts';
import { commands } from '../../lib/commands.ts';
import { sourceInWords } from '../../lib/sign-in-words.ts';
import { Badge } from '../../ui/badge.tsx';
import { type Column, DataTable } from '../../ui/data-table.tsx';
import { Empty, growing, Toolbar } from '../../ui/page.tsx';
import { Command, PlainText } from '../../ui/text.tsx';
import { Directories } from './directories.tsx';
import classes from './identity.module.css';
import { IdentityPage } from './identity-page.tsx';
import { Roles } from './roles.tsx';

/** That the server takes. */
const LONGEST_SEARCH = 200;

const columns: Column<PersonView>[] = [
  { header: 'Person', cell: ({ displayName }) => <PlainText text={displayName} /> },
  { header: 'Email', cell: ({ email }) => <span className="gh-break">{email}</span> },
  { header: 'Roles', cell: (person) => <RoleBadges person={person} /> },
  {
    header: 'Known from',
    cell: ({ source }) => <span className="gh-quiet">{sourceInWords(source)}</span>,
    hide: 'medium',
  },
  { header: 'Signs in with', cell: (person) => <SignsInWith person={person} /> },
  { header: 'Sessions', cell: ({ sessions }) => <span className="gh-numbers">{sessions}</span>, align: 'end' },
  { header: 'Agents', cell: ({ agents }) => <span className="gh-numbers">{agents.length}</span>, align: 'end' },
];

export function PeoplePage() {
  const session = useSession();
  const { filter = '' } = useSearch({ from: '/house/identity/people' });
  const navigate = useNavigate();
  const [search] = useDebouncedValue(filter.slice(0, LONGEST_SEARCH), 200);
  const people = useInfiniteQuery(peopleQuery(search));
  const rows = people.data?.pages.flatMap(({ items }) => items);
  const mayOversee = needsRole(session, ['admin', 'security', 'auditor'], '') === null;
  return (
    <IdentityPage
      title="People"
      about="Who may do what here. People approve, own and answer for agents; they prove themselves with passkeys or the company’s sign-in."
    >
      <Toolbar>
        <TextInput
          className={growing}
          placeholder="Search by name, address, role, group …"
          aria-label="Search people"
          leftSection={<IconSearch size={14} aria-hidden />}
          value={filter}
          maxLength={LONGEST_SEARCH}
          onChange={(event) => {
            const text = event.currentTarget.value;
            void navigate({ to: '/identity/people', search: text === '' ? {} : { filter: text }, replace: true });
          }}
          data-filter
        />
      </Toolbar>
      <DataTable
        label="People"
        rows={rows}
        rowKey={({ email }) => email}
        link={({ email }) => ({ to: '/identity/people/$email', params: { email } })}
        columns={columns}
        error={people.error}
        retry={() => void people.refetch()}
        more={
          people.hasNextPage
            ? { load: () => void people.fetchNextPage(), loading: people.isFetchingNextPage }
            : undefined
        }
        empty={
          search.trim() !== '' ? (
            <Empty icon={IconSearch} title="Nobody is found" about="Empty the field to see everybody." />
          ) : (
            <Empty
              icon={IconUsers}
              title="Nobody is declared"
              about="People are declared in files, or come by a directory:"
            >
              <Command>{commands.apply()}</Command>
            </Empty>
          )
        }
      />
      {people.hasNextPage && (
        <p className={classes.hint} role="status">
          These are the first {rows?.length}, by address, and there are more: search, or show more.
        </p>
      )}
      <p className={classes.hint}>
        To add somebody, add a <code>Person</code> to the workspace’s files and apply it, or let the company’s directory
        send its people (SCIM).
      </p>
      {mayOversee && <Directories />}
      <Roles />
    </IdentityPage>
  );
}

export function RoleBadges({ person: { roles, departed } }: { person: Pick<PersonView, 'roles' | 'departed'> }) {
  if (departed)
    return (
      <Badge hue="red" title="Nothing of what they had here counts any more">
        has left
      </Badge>
    );
  return (
    <span className={classes.badges}>
      {roles.map((role) => (
        <Badge key={role} hue="gray">
          {role}
        </Badge>
      ))}
      {roles.length === 0 && <span className="gh-quiet">no roles</span>}
    </span>
  );
}

function SignsInWith({ person: { passkeys, identities, departed } }: { person: PersonView }) {
  if (departed) return <span className="gh-quiet">nothing</span>;
  const ways = [...(passkeys > 0 ? ['passkey'] : []), ...new Set(identities.map(({ provider }) => provider))];
  return ways.length === 0 ? <Badge hue="amber">nothing yet</Badge> : ways.join(', ');
}
