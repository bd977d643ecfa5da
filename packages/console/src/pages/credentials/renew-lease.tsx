import type { ShownLease } from '@gatehouse/protocol';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { call } from '../../api/client.ts';
import { explain } from '../../api/problem.ts';
import { needsRole, useSession } from '../../app/session.ts';
import { isLive } from '../../lib/lease-words.ts';
import { AllowedButton } from '../../ui/allowed-button.tsx';
import { notify } from '../../ui/notices.tsx';
import { When } from '../../ui/when.tsx';

/** Calls renew what they use by themselves; this is for what is to outlive a pause. What was handed out is never renewed. */
export function RenewButton({ lease }: { lease: ShownLease }) {
  const queries = useQueryClient();
  const obstacle = needsRole(useSession(), ['admin', 'security'], 'Renewing a credential');
  const renew = useMutation({
    mutationFn: () => call('POST /leases/:id/renew', { params: { id: lease.id }, body: {} }),
    onSuccess: ({ expiresAt, clamped }) =>
      notify({
        color: 'green',
        title: 'Renewed',
        message: (
          <>
            It works until <When at={expiresAt} />
            {clamped.length > 0 && `: ${clamped.join('; ')}`}
          </>
        ),
      }),
    onError: (error) => notify({ color: 'red', title: explain(error).title, message: explain(error).detail }),
    onSettled: () => void queries.invalidateQueries({ queryKey: ['leases'] }),
  });
  if (!isLive(lease) || lease.ungated || !lease.kind?.abilities.canRenew) return null;
  return (
    <AllowedButton size="sm" obstacle={obstacle} loading={renew.isPending} onClick={() => renew.mutate()}>
      Renew
    </AllowedButton>
  );
}
