import type { ShownLease } from '@gatehouse/protocol';
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
import { abilitiesOf, isLive, leaseStateWords, residualOf } from '../../lib/lease-words.ts';
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

export function LeaseBadges({ lease: { state, ungated } }: { lease: ShownLease }) {
  const { label, means, hue } = leaseStateWords[state];
  return (
    <span className={classes.badges}>
      <Badge hue={hue} icon={icons[state]} title={means}>
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

/** What may still work: of a live one when it is ended, of the others now. */
export function Remains({ lease }: { lease: ShownLease }) {
  const last = Math.max(lease.expiresAt, lease.worksUntil ?? 0);
  if (lease.state === 'revoked') return <span className="gh-quiet">nothing: verified to be gone</span>;
  if (lease.state === 'dropped')
    return (
      <span className={classes.remains}>
        may work {lease.endsByItself ? 'until ' : 'on, as nothing ends it by itself: it was given up'}
        {lease.endsByItself && <When at={last} />}
      </span>
    );
  const { words, until } = residualOf(abilitiesOf(lease));
  if (!isLive(lease))
    return (
      <span>
        may still work, as it is not verified to be gone
        {until && (
          <>
            ; not after <When at={last} />
          </>
        )}
      </span>
    );
  return (
    <span className={until ? classes.remains : undefined}>
      {words}
      {until && (
        <>
          {' '}
          until <When at={last} />
        </>
      )}
    </span>
  );
}
