import { Button } from '@mantine/core';
import { IconDeviceLaptop } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { call } from '../../api/client.ts';
import { sessionsQuery } from '../../api/queries.ts';
import { deviceName } from '../../lib/device.ts';
import { Badge } from '../../ui/badge.tsx';
import { DataTable } from '../../ui/data-table.tsx';
import { Empty, Failure, Section } from '../../ui/page.tsx';
import { When } from '../../ui/when.tsx';

export function Sessions() {
  const queries = useQueryClient();
  const sessions = useQuery(sessionsQuery);
  const end = useMutation({
    mutationFn: (id: string) => call('DELETE /sessions/:id', { params: { id } }),
    onSuccess: () => void queries.invalidateQueries({ queryKey: ['sessions'] }),
  });
  return (
    <Section title="Your sessions" count={sessions.data?.items.length}>
      {end.error && <Failure error={end.error} />}
      <DataTable
        label="Your sessions"
        rows={sessions.data?.items}
        rowKey={({ id }) => id}
        columns={[
          {
            header: 'Browser',
            cell: ({ userAgent, current }) => (
              <span title={userAgent}>
                {deviceName(userAgent)} {current && <Badge hue="green">this one</Badge>}
              </span>
            ),
          },
          { header: 'Began by', cell: ({ via }) => via },
          { header: 'Began', cell: ({ createdAt }) => <When at={createdAt} /> },
          { header: 'Last seen', cell: ({ lastSeenAt }) => <When at={lastSeenAt} as="relative" /> },
          { header: 'Ends', cell: ({ expiresAt }) => <When at={expiresAt} /> },
          {
            header: '',
            align: 'end',
            cell: ({ id, current }) =>
              !current && (
                <Button
                  variant="default"
                  loading={end.isPending && end.variables === id}
                  onClick={() => end.mutate(id)}
                >
                  End it
                </Button>
              ),
          },
        ]}
        error={sessions.error}
        retry={() => void sessions.refetch()}
        empty={<Empty icon={IconDeviceLaptop} title="No session" />}
      />
    </Section>
  );
}
