import type { Approval } from '@gatehouse/protocol';
import { Button } from '@mantine/core';
import { IconDeviceMobile } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { call } from '../../api/client.ts';
import { approvalProgressQuery } from '../../api/queries.ts';
import { Failure } from '../../ui/page.tsx';
import classes from './approval.module.css';

/** Where a yes on one's own device counts: it shows a code alone, so that whoever confirms there says first that they have read this. */
export function ConfirmOnDevice({ approval }: { approval: Approval }) {
  const queries = useQueryClient();
  const progress = useQuery({ ...approvalProgressQuery(approval), enabled: approval.rules.length > 0 });
  const look = useMutation({
    mutationFn: () =>
      call('POST /approvals/:id/look', { params: { id: approval.id }, body: { digest: approval.digest } }),
    onError: () => void queries.invalidateQueries({ queryKey: ['approvals'] }),
  });
  if (!progress.data?.byDevice || !progress.data.mayApprove.length) return null;
  return (
    <section className={classes.device} aria-label="Confirm on your device">
      {look.data ? (
        <p role="status">
          Confirm on your device only if it shows <code>{look.data.code}</code>. Another code is of another action.
        </p>
      ) : (
        <Button
          size="sm"
          variant="default"
          leftSection={<IconDeviceMobile size={16} />}
          loading={look.isPending}
          onClick={() => look.mutate()}
        >
          I have read this: confirm on my device
        </Button>
      )}
      {look.error && <Failure error={look.error} />}
    </section>
  );
}
