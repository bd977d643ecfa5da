import type { SessionSummaryView } from '@gatehouse/protocol';
import { Button } from '@mantine/core';
import type { ReactNode } from 'react';
import { deviceName } from '../../lib/device.ts';
import { beganBy } from '../../lib/sign-in-words.ts';
import { Badge } from '../../ui/badge.tsx';
import { type Column, DataTable } from '../../ui/data-table.tsx';
import { When } from '../../ui/when.tsx';

interface SessionTableProps {
  label: string;
  sessions: SessionSummaryView[] | undefined;
  /** Whose session it is stands in the first column. */
  people?: boolean;
  end?: { run: (session: SessionSummaryView) => void; pending: string | undefined; obstacle?: string | null };
  error: unknown;
  retry: () => void;
  more?: { load: () => void; loading: boolean } | undefined;
  empty: ReactNode;
}

export function SessionTable({ label, sessions, people = false, end, error, retry, more, empty }: SessionTableProps) {
  const browser: Column<SessionSummaryView> = {
    header: 'Browser or command line',
    cell: ({ userAgent, current, restricted }) => (
      <span title={userAgent}>
        {deviceName(userAgent)} {current && <Badge hue="green">this one</Badge>}
        {restricted && (
          <Badge hue="gray" title="Of the command line: it can never approve, consent or enrol a passkey">
            restricted
          </Badge>
        )}
      </span>
    ),
  };
  const columns: Column<SessionSummaryView>[] = [
    ...(people ? [{ header: 'Person', cell: ({ person }: SessionSummaryView) => person }] : []),
    browser,
    { header: 'Began by', cell: beganBy },
    { header: 'Began', cell: ({ createdAt }) => <When at={createdAt} />, hide: 'medium' },
    { header: 'Last seen', cell: ({ lastSeenAt }) => <When at={lastSeenAt} as="relative" /> },
    { header: 'Ends', cell: ({ expiresAt }) => <When at={expiresAt} />, hide: 'medium' },
  ];
  if (end)
    columns.push({
      header: '',
      align: 'end',
      cell: (session) =>
        !session.current && (
          <Button
            variant="default"
            loading={end.pending === session.id}
            disabled={!!end.obstacle}
            title={end.obstacle ?? undefined}
            onClick={() => end.run(session)}
          >
            End it
          </Button>
        ),
    });
  return (
    <DataTable
      label={label}
      rows={sessions}
      rowKey={({ id }) => id}
      columns={columns}
      error={error}
      retry={retry}
      more={more}
      empty={empty}
      {...(people && {
        link: ({ person }: SessionSummaryView) => ({
          to: '/identity/people/$email' as const,
          params: { email: person },
        }),
      })}
    />
  );
}
