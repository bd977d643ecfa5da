import { Skeleton } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from '@tanstack/react-router';
import { approvalQuery } from '../../api/queries.ts';
import { Failure, Page } from '../../ui/page.tsx';
import { Identifier } from '../../ui/text.tsx';
import { ApprovalCard } from './approval-card.tsx';

/** Where the address leads that a waiting client is given (URL elicitation). */
export function ApprovalPage() {
  const { id } = useParams({ from: '/house/approvals/$id' });
  const approval = useQuery(approvalQuery(id));
  const pending = approval.data?.state === 'pending';
  return (
    <Page
      title={pending ? 'An action waits for you' : 'Approval'}
      crumb={
        <Link to="/approvals" className="gh-link">
          Approvals
        </Link>
      }
      about={
        pending
          ? 'Read all of it. Your yes is for exactly this call, once; if any argument changes, it waits again.'
          : undefined
      }
      actions={<Identifier value={id} what="id" />}
    >
      {approval.error && !approval.data && <Failure error={approval.error} retry={() => void approval.refetch()} />}
      {approval.isLoading && <Skeleton height={320} radius="md" />}
      {approval.data && <ApprovalCard approval={approval.data} linked={false} />}
    </Page>
  );
}
