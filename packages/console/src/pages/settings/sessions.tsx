import { IconDeviceLaptop } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { call } from '../../api/client.ts';
import { sessionsQuery } from '../../api/queries.ts';
import { Empty, Failure, Section } from '../../ui/page.tsx';
import { SessionTable } from './session-table.tsx';

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
      <SessionTable
        label="Your sessions"
        sessions={sessions.data?.items}
        end={{ run: ({ id }) => end.mutate(id), pending: end.isPending ? end.variables : undefined }}
        error={sessions.error}
        retry={() => void sessions.refetch()}
        empty={<Empty icon={IconDeviceLaptop} title="No session" />}
      />
    </Section>
  );
}
