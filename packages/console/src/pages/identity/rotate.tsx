import { IconAlertTriangle, IconRefresh } from '@tabler/icons-react';
import type { Obstacle } from '../../app/session.ts';
import { AllowedButton } from '../../ui/allowed-button.tsx';
import { Confirm, FormDialog } from '../../ui/dialog.tsx';

export function RotateButtons({ obstacle, rotate }: { obstacle: Obstacle; rotate: (compromised: boolean) => void }) {
  return (
    <>
      <AllowedButton leftSection={<IconRefresh size={14} />} obstacle={obstacle} onClick={() => rotate(false)}>
        Rotate
      </AllowedButton>
      <AllowedButton
        variant="outline"
        color="var(--gh-red-fg)"
        leftSection={<IconAlertTriangle size={14} />}
        obstacle={obstacle}
        onClick={() => rotate(true)}
      >
        Compromised…
      </AllowedButton>
    </>
  );
}

interface RotateProps {
  /** `access-token`, `X.509 intermediate` … */
  what: string;
  compromised: boolean;
  pending: boolean;
  error: unknown;
  submit: () => void;
  close: () => void;
}

/** Rotating breaks nothing; a compromised key takes along all that it signed, so its name is typed. */
export function Rotate({ what, compromised, ...rest }: RotateProps) {
  if (!compromised)
    return (
      <FormDialog title={`Rotate: ${what}`} button="Make the next key" {...rest}>
        <p>
          A next key is published now and signs after a while, when everybody had the time to fetch it. The key of now
          verifies until all that it signed has run out. Nothing breaks.
        </p>
      </FormDialog>
    );
  return (
    <Confirm title={`Compromised: ${what}`} button="Destroy the keys of now" word={what} {...rest}>
      <p>
        Every key of now is destroyed, on every replica, before this answers; a new one signs at once. All that the old
        ones signed is refused from then on: whoever holds such a credential has to get another.
      </p>
    </Confirm>
  );
}
