import type { Approval } from '@gatehouse/protocol';
import { PlainText } from '../../ui/text.tsx';
import classes from './approval.module.css';

/** Why it stands where it stands in the inbox. */
export function Risk({ approval: { risk, alone } }: { approval: Approval }) {
  if (risk.reasons.length === 0) return null;
  return (
    <ul className={classes.risk} aria-label="What to look at">
      {risk.reasons.map((reason) => (
        <li key={reason}>
          <PlainText text={reason} />
        </li>
      ))}
      {alone !== null && <li className="gh-quiet">It is approved alone, never in a list.</li>}
    </ul>
  );
}
