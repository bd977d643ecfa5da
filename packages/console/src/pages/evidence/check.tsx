import type { EvidenceCheck } from '@gatehouse/protocol';
import { Card } from '../../ui/page.tsx';
import classes from './evidence.module.css';
import { EvidenceState } from './evidence-state.tsx';

/** One thing that was looked at: the claim, what came of it, and what was asked. */
export function Check({ check }: { check: EvidenceCheck }) {
  const { id, claim, status, finding, figures, examples, queries } = check;
  return (
    <div id={`check-${id}`} className={classes.check}>
      <Card>
        <p className={classes.claim}>
          <EvidenceState status={status} /> {claim}
        </p>
        <p>{finding}</p>
        {examples.length > 0 && (
          <ul className={classes.examples}>
            {examples.map((each) => (
              <li key={each} className="gh-mono">
                {each}
              </li>
            ))}
          </ul>
        )}
        <details>
          <summary>{queries.length === 0 ? 'From the registry' : 'What was asked'}</summary>
          <dl className={classes.figures}>
            {Object.entries(figures).map(([name, value]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{value ?? '–'}</dd>
              </div>
            ))}
          </dl>
          {queries.map((query) => (
            <pre key={query} className={classes.query}>
              {query}
            </pre>
          ))}
        </details>
      </Card>
    </div>
  );
}
