import type { ShownLease } from '@gatehouse/protocol';
import { mayEndLease, useSession } from '../../app/session.ts';
import { isLive } from '../../lib/lease-words.ts';
import { AllowedButton } from '../../ui/allowed-button.tsx';

interface EndButtonProps {
  lease: ShownLease;
  end: () => void;
  size?: 'xs' | 'sm';
}

/** `e` presses it on the row that has the focus. */
export function EndButton({ lease, end, size = 'xs' }: EndButtonProps) {
  const obstacle = mayEndLease(useSession(), lease);
  if (!isLive(lease)) return null;
  return (
    <AllowedButton
      obstacle={obstacle}
      size={size}
      color="var(--gh-red-fg)"
      variant="outline"
      onClick={end}
      aria-label={`Revoke ${lease.name} now`}
      data-key="e"
    >
      Revoke now
    </AllowedButton>
  );
}
