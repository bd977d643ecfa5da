import type { EndedCredentials, PlanChange, PlanWarning, ProposedChange } from '@gatehouse/protocol';
import { endedWords } from '@gatehouse/protocol/ended-credentials';
import { clean, type Output } from './output.ts';

const marks = { create: '+', update: '~', delete: '-', unchanged: ' ' } as const;
const styles = { create: 'green', update: 'yellow', delete: 'red', unchanged: 'reset' } as const;

export function printChanges(changes: PlanChange[], out: Output): void {
  for (const { operation, kind, name, differences = [], note } of changes) {
    if (operation === 'unchanged' && note === undefined) continue;
    out.print(out.style(styles[operation], `${marks[operation]} ${kind} ${clean(name)}`));
    for (const { path, before, after } of differences)
      out.print(`    ${clean(path)}: ${short(before)} → ${short(after)}`);
    if (note !== undefined) out.print(`    ${clean(note)}`);
  }
}

/** Nothing of it stops the apply. */
export function printWarnings(warnings: PlanWarning[], out: Output): void {
  for (const { kind, name, path, message, command } of warnings) {
    out.note(`! ${kind} ${clean(name)}, ${clean(path)}: ${clean(message)}`);
    out.note(`    ${clean(command ?? NO_COMMAND)}`);
  }
}

const NO_COMMAND =
  'No command is given to paste: a name or an address in it has characters that a shell may act on. Look at what the manifest says.';

const SHOWN_CHARS = 200;

function short(value: unknown): string {
  const text = clean(value === undefined ? 'nothing' : JSON.stringify(value));
  return text.length > SHOWN_CHARS ? `${text.slice(0, SHOWN_CHARS)}…` : text;
}

export function summary(changes: PlanChange[]): string {
  const words = { create: 'created', update: 'updated', delete: 'deleted', unchanged: 'unchanged' } as const;
  return Object.entries(words)
    .map(([wanted, word]) => `${changes.filter(({ operation }) => operation === wanted).length} ${word}`)
    .join(', ');
}

/** What had been issued by a permission that is withdrawn. */
export function printEnded(verb: string, ended: EndedCredentials, out: Output): void {
  const words = endedWords(ended);
  if (words !== undefined) out.print(out.style('yellow', `! ${verb} ${clean(words)}`));
}

/** Nothing was applied: what it relaxes, and where somebody else looks at it. */
export function printProposed({ number, url, relaxes }: ProposedChange, out: Output): void {
  for (const { kind, name, why } of relaxes) out.print(out.style('yellow', `! ${kind} ${clean(name)}: ${clean(why)}`));
  out.print(`Nothing was applied yet: proposed as change ${number}, which waits for a second person: ${url}`);
}
