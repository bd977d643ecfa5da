import type { ShownLease } from '@gatehouse/protocol';
import { abilitiesOf, residualOf } from '@gatehouse/protocol/residual';
import {
  type Icon,
  IconAlertTriangle,
  IconCircleCheck,
  IconCircleDashed,
  IconHourglassHigh,
  IconKeyOff,
  IconPlayerPlay,
  IconUnlink,
} from '@tabler/icons-react';
import { isLive, leaseStateWords } from '../../lib/lease-words.ts';
import { Badge } from '../../ui/badge.tsx';
import { When } from '../../ui/when.tsx';
import classes from './credentials.module.css';

const icons: Record<ShownLease['state'], Icon> = {
  intended: IconCircleDashed,
  created: IconCircleCheck,
  active: IconPlayerPlay,
  revoking: IconHourglassHigh,
  stuck: IconAlertTriangle,
  dropped: IconUnlink,
  revoked: IconKeyOff,
};

export function LeaseBadges({ lease }: { lease: ShownLease }) {
  const { state, ungated } = lease;
  const { label, means, hue } = leaseStateWords[state];
  return (
    <span className={classes.badges}>
      <Badge hue={hue} icon={icons[state]} title={state === 'revoked' ? goneWords(lease) : means}>
        {label}
      </Badge>
      {ungated && (
        <Badge
          hue="orange"
          icon={IconUnlink}
          title="Handed out to a client that calls by itself: what it does with it does not pass the gate"
        >
          ungated
        </Badge>
      )}
    </span>
  );
}

/** Of one whose end is over. */
export const goneWords = (lease: ShownLease): string => {
  const { after } = residualOf(abilitiesOf(lease));
  return after.startsWith('nothing') ? 'Verified to be gone' : `Used no more; what remains: ${after}`;
};

/** What may still work: of a live one when it is ended, of the others now. */
export function Remains({ lease }: { lease: ShownLease }) {
  const last = Math.max(lease.expiresAt, lease.worksUntil ?? 0);
  const { words, remains, after } = residualOf(abilitiesOf(lease));
  if (lease.state === 'revoked') return <span className="gh-quiet">{after}</span>;
  if (lease.state === 'dropped')
    return (
      <span className={classes.remains}>
        may work {lease.endsByItself ? 'until ' : 'on, as nothing ends it by itself: it was given up'}
        {lease.endsByItself && <When at={last} />}
      </span>
    );
  if (!isLive(lease))
    return (
      <span>
        may still work, as it is not verified to be gone
        {remains === 'until-expiry' && (
          <>
            ; not after <When at={last} />
          </>
        )}
      </span>
    );
  return (
    <span className={remains === 'nothing' ? undefined : classes.remains}>
      {words}
      {remains === 'until-expiry' && (
        <>
          {' '}
          until <When at={last} />
        </>
      )}
    </span>
  );
}
