import { useMemo } from 'react';
import { type FieldChange, fieldChanges, type Part, wordDiff } from '../../lib/diff.ts';
import { countHidden } from '../../lib/hidden-text.ts';
import { plural } from '../../lib/words.ts';
import { Json, PlainText } from '../../ui/text.tsx';
import classes from './tools.module.css';

interface DefinitionDiffProps {
  /** Absent for something new. */
  approved: unknown;
  served: unknown;
}

/** Member by member; within texts, word by word. Nothing of a change is left out or shortened. */
export function DefinitionDiff({ approved, served }: DefinitionDiffProps) {
  const changes = useMemo(() => (approved === undefined ? [] : fieldChanges(approved, served)), [approved, served]);
  const hidden = countHidden(JSON.stringify(served) ?? '');
  return (
    <div className={classes.diff}>
      {hidden > 0 && (
        <p className={classes.warning} role="alert">
          It holds {plural(hidden, 'character')} that can’t be seen; they are shown by their codes.
        </p>
      )}
      {approved === undefined ? (
        <div className={classes.whole}>
          <Json value={served} />
        </div>
      ) : (
        <>
          <p className={classes.summary}>
            {changes.length === 0
              ? 'No member differs; only their order does.'
              : `${plural(changes.length, 'change')} between what was approved and what is served`}
          </p>
          <dl className={classes.changes}>
            {changes.map((change) => (
              <Change key={change.path} change={change} />
            ))}
          </dl>
        </>
      )}
    </div>
  );
}

function Change({ change: { path, kind, before, after } }: { change: FieldChange }) {
  const parts = useMemo(
    () => (kind === 'changed' ? wordDiff(asText(before), asText(after)) : []),
    [kind, before, after],
  );
  return (
    <>
      <dt>
        <PlainText text={path} mono />
        <small>{kind}</small>
      </dt>
      <dd>
        {kind !== 'added' && (
          <div className={classes.before}>
            <span className={classes.sign}>− approved</span>
            {kind === 'removed' ? <PlainText text={asText(before)} mono /> : <Parts parts={parts} without="added" />}
          </div>
        )}
        {kind !== 'removed' && (
          <div className={classes.after}>
            <span className={classes.sign}>+ served</span>
            {kind === 'added' ? <PlainText text={asText(after)} mono /> : <Parts parts={parts} without="removed" />}
          </div>
        )}
      </dd>
    </>
  );
}

function Parts({ parts, without }: { parts: Part[]; without: Part['kind'] }) {
  let at = 0;
  return (
    <span className="gh-mono">
      {parts
        .filter(({ kind }) => kind !== without)
        .map(({ kind, text }) => {
          const key = at++;
          const shown = <PlainText key={key} text={text} />;
          if (kind === 'removed') return <del key={key}>{shown}</del>;
          return kind === 'added' ? <ins key={key}>{shown}</ins> : shown;
        })}
    </span>
  );
}

const asText = (value: unknown): string => (typeof value === 'string' ? value : (JSON.stringify(value, null, 2) ?? ''));
