import { scopeLines } from '../../lib/lease-words.ts';
import { PlainText } from '../../ui/text.tsx';
import classes from './scope.module.css';

/** What it may do, in full. */
export function Scope({ scope }: { scope: unknown }) {
  const lines = scopeLines(scope);
  if (lines.length === 0) return <span>all that its provider may issue</span>;
  return (
    <span className={classes.scope}>
      {lines.map((line) => (
        <span key={line}>
          <PlainText text={line} mono />
        </span>
      ))}
    </span>
  );
}
