import type { StandingGrant } from '@gatehouse/protocol';
import { Button } from '@mantine/core';
import { IconRepeat } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { call } from '../../api/client.ts';
import { taskGrantsQuery } from '../../api/queries.ts';
import { boundInWords } from '../../lib/grant-request.ts';
import { Badge } from '../../ui/badge.tsx';
import { type Column, DataTable } from '../../ui/data-table.tsx';
import { Empty, Section } from '../../ui/page.tsx';
import { PlainText, ToolName } from '../../ui/text.tsx';
import { When } from '../../ui/when.tsx';

/** What runs in this task without being asked about, because a person has said so, and how much of it is used. */
export function TaskGrants({ id }: { id: string }) {
  const grants = useQuery(taskGrantsQuery(id));
  if (grants.data?.items.length === 0) return null;
  return (
    <Section title="Standing grants">
      <DataTable
        label="Standing grants"
        rows={grants.data?.items}
        rowKey={({ id: grant }) => grant}
        columns={columns}
        error={grants.error}
        retry={() => void grants.refetch()}
        empty={<Empty icon={IconRepeat} title="None" about="Each call that needs a person waits for one." />}
      />
    </Section>
  );
}

const columns: Column<StandingGrant>[] = [
  { header: 'Tool', cell: ({ tool }) => <ToolName tool={tool} /> },
  {
    header: 'Within',
    cell: ({ terms }) => <PlainText text={terms.bounds.map(boundInWords).join('; ') || 'exactly as approved'} />,
    width: '34%',
  },
  {
    header: 'Used',
    cell: ({ used, usedSum, terms }) =>
      `${used} of ${terms.calls}${terms.sum ? ` · ${usedSum} of ${terms.sum.max}` : ''}`,
  },
  { header: 'Until', cell: ({ terms }) => <When at={terms.until} /> },
  { header: 'Given by', cell: ({ givenBy }) => givenBy, hide: 'medium' },
  {
    header: 'State',
    cell: ({ state }) => <Badge hue={state === 'active' ? 'amber' : 'gray'}>{state}</Badge>,
  },
  { header: '', cell: (grant) => (grant.state === 'active' ? <Revoke grant={grant} /> : null), align: 'end' },
];

function Revoke({ grant: { id, tool } }: { grant: StandingGrant }) {
  const queries = useQueryClient();
  const revoke = useMutation({
    mutationFn: () => call('POST /grants/:id/revoke', { params: { id }, body: {} }),
    onSettled: () => void queries.invalidateQueries({ queryKey: ['grants'] }),
  });
  return (
    <Button
      size="xs"
      variant="default"
      aria-label={`Revoke the grant for ${tool}`}
      loading={revoke.isPending}
      title={revoke.error?.message ?? 'The next such call waits for a person again'}
      onClick={() => revoke.mutate()}
    >
      Revoke
    </Button>
  );
}
