import type { Place, PolicyProblem } from '@gatehouse/protocol';
import { type RefObject, useMemo } from 'react';
import { cedarSpans, rangeOf } from '../../lib/cedar-highlight.ts';
import { Badge } from '../../ui/badge.tsx';
import { PlainText } from '../../ui/text.tsx';
import classes from './cedar.module.css';

interface CedarTextProps {
  text: string;
  label: string;
  places?: readonly Place[];
  /** To edit it. */
  field?: RefObject<HTMLTextAreaElement | null>;
  onChange?: (text: string) => void;
}

const nowhere: readonly Place[] = [];

/** A policy text in colours, with line numbers and what is wrong underlined; a plain text field when it is edited. */
export function CedarText({ text, label, places = nowhere, field, onChange }: CedarTextProps) {
  const spans = useMemo(() => cedarSpans(text, places), [text, places]);
  const lines = useMemo(() => Array.from(text.split('\n'), (_, index) => index + 1).join('\n'), [text]);
  let at = 0;
  return (
    <div className={classes.editor}>
      <pre className={classes.lines} aria-hidden>
        {lines}
      </pre>
      <div className={classes.scroll}>
        <div className={classes.sheet}>
          <pre
            className={classes.text}
            aria-hidden={onChange !== undefined}
            {...(!onChange && { 'aria-label': label })}
          >
            {spans.map(({ text: piece, ink, marked }) => (
              <span key={at++} className={`${classes[ink] ?? ''} ${marked ? classes.marked : ''}`}>
                {onChange ? piece : <PlainText text={piece} />}
              </span>
            ))}
            {'\n'}
          </pre>
          {onChange && (
            <textarea
              ref={field}
              className={classes.field}
              aria-label={label}
              value={text}
              onChange={(event) => onChange(event.currentTarget.value)}
              maxLength={1_000_000}
              spellCheck={false}
              autoComplete="off"
              autoCapitalize="off"
              wrap="off"
            />
          )}
        </div>
      </div>
    </div>
  );
}

const severities = { error: 'red', warning: 'amber', info: 'blue' } as const;

/** What is wrong, by line; a line leads there. */
export function Problems({
  problems,
  file,
  go,
}: {
  problems: readonly PolicyProblem[];
  file: string;
  go: (place: Place) => void;
}) {
  return (
    <ul className={classes.problems} aria-label="Problems">
      {problems.map((problem) => (
        <li
          key={JSON.stringify([
            problem.code,
            problem.kind,
            problem.name,
            problem.policy,
            problem.path,
            problem.place,
            problem.message,
          ])}
        >
          <Badge hue={severities[problem.severity]}>{problem.severity}</Badge>
          <span>
            {problem.place && problem.kind === 'Policy' && problem.name === file ? (
              <button type="button" onClick={() => problem.place && go(problem.place)}>
                line {problem.place.line}, column {problem.place.column}
              </button>
            ) : (
              `${problem.kind} ${problem.name}`
            )}
            : <PlainText text={problem.message} />
          </span>
          {problem.help && (
            <p>
              <PlainText text={problem.help} />
            </p>
          )}
        </li>
      ))}
    </ul>
  );
}

export function goTo(field: HTMLTextAreaElement | null, place: Place): void {
  if (!field) return;
  field.focus();
  field.setSelectionRange(...rangeOf(field.value, place));
}
