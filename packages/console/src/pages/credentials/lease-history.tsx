import type { ShownLease } from '@gatehouse/protocol';
import {
  type Icon,
  IconAlertTriangle,
  IconCircleCheck,
  IconFileText,
  IconHourglassHigh,
  IconKey,
  IconPlayerPlay,
  IconRefresh,
} from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { purposeWords } from '../../lib/lease-words.ts';
import { actorName, type Hue, plural } from '../../lib/words.ts';
import { PlainText } from '../../ui/text.tsx';
import { When } from '../../ui/when.tsx';
import classes from './credentials.module.css';
import { goneWords } from './lease-words.tsx';

interface Step {
  at: number | null;
  icon: Icon;
  hue: Hue;
  what: string;
  why?: ReactNode;
}

/** Each step of its life: when, by whom and why. */
export function LeaseHistory({ lease }: { lease: ShownLease }) {
  return (
    <ol className={classes.steps} aria-label="History">
      {stepsOf(lease).map(({ at, icon: Glyph, hue, what, why }) => (
        <li key={what} data-hue={hue}>
          <Glyph size={15} aria-hidden />
          <div>
            <strong>{what}</strong>
            {why && <p>{why}</p>}
          </div>
          {at === null ? <span /> : <When at={at} />}
        </li>
      ))}
    </ol>
  );
}

function stepsOf(lease: ShownLease): Step[] {
  const {
    intendedAt,
    createdAt,
    activeAt,
    renewals,
    renewedAt,
    revokingAt,
    revokedAt,
    reason,
    attempts,
    problem,
    nextTryAt,
    drop,
  } = lease;
  const steps: (Step | false)[] = [
    {
      at: intendedAt,
      icon: IconFileText,
      hue: 'gray',
      what: 'Recorded',
      why: lease.agent === '' ? 'a test' : `for ${lease.agent}: ${purposeWords(lease)}; then its provider was asked`,
    },
    createdAt !== null && {
      at: createdAt,
      icon: IconKey,
      hue: 'gray',
      what: 'Made by its provider',
      why: (
        <>
          as <code>{lease.name}</code>
        </>
      ),
    },
    activeAt !== null && {
      at: activeAt,
      icon: IconPlayerPlay,
      hue: 'green',
      what: lease.ungated ? 'Handed out' : 'In use from then on',
      why: lease.handedBy !== null && (
        <Link to="/actions/$id" params={{ id: lease.handedBy }} className="gh-link">
          {lease.ungated ? 'by this action' : 'by this call first'}
        </Link>
      ),
    },
    renewals > 0 && {
      at: renewedAt,
      icon: IconRefresh,
      hue: 'gray',
      what: `Renewed ${renewals === 1 ? 'once' : `${renewals} times, last`}`,
    },
    revokingAt !== null && {
      at: revokingAt,
      icon: IconHourglassHigh,
      hue: 'amber',
      what: 'Its end began',
      why: reason && <PlainText text={endWords(reason)} />,
    },
    attempts > 0 &&
      revokedAt === null &&
      !drop?.agreedBy && {
        at: null,
        icon: IconAlertTriangle,
        hue: 'red',
        what: `${plural(attempts, 'attempt')} failed`,
        why: (
          <>
            {problem !== null && <PlainText text={problem} />}
            {nextTryAt !== null && (
              <>
                {' '}
                Tried again at <When at={nextTryAt} />
              </>
            )}
          </>
        ),
      },
    revokedAt !== null && {
      at: revokedAt,
      icon: IconCircleCheck,
      hue: 'green',
      what: goneWords(lease),
      why: attempts > 0 && `after ${plural(attempts, 'attempt')} that failed`,
    },
  ];
  if (drop?.agreedBy)
    steps.push({
      at: drop.agreedAt,
      icon: IconAlertTriangle,
      hue: 'orange',
      what: 'Given up',
      why: `asked for by ${actorName(drop.askedBy)}, agreed to by ${actorName(drop.agreedBy)}`,
    });
  return steps.filter((step) => step !== false);
}

/** `revoked (person:a@example.test)` → `revoked, by a@example.test` */
function endWords(reason: string): string {
  const [, why, by] = /^(.*) \(([^()]+)\)$/s.exec(reason) ?? [];
  return why === undefined || by === undefined
    ? reason
    : `${why}, by ${by === 'gatehouse' ? 'Gatehouse' : actorName(by)}`;
}
