import type { DetailedError } from '@cedar-policy/cedar-wasm/nodejs';
import type { Place, PolicyProblem } from '@gatehouse/protocol';
import { GatehouseError } from '../platform/index.ts';
import { policyLimits } from './cedar/limits.ts';
import { fromByteOffset, placeOf } from './source-text.ts';

/** What is wrong in the Cedar text of one policy manifest. */
export function problemIn(
  { name, policy = null }: { name: string; policy?: string | null },
  place: Place,
  message: string,
  help: string | null = null,
): PolicyProblem {
  return {
    code: 'policy.invalid',
    severity: 'error',
    kind: 'Policy',
    name,
    policy,
    path: 'cedar',
    place,
    message,
    help,
  };
}

/** What the official engine says of a text that begins at `offset` of the whole one, with all that it says beside it. */
export function problemsFrom(
  of: { name: string; policy?: string | null },
  error: DetailedError,
  text: { whole: string; source: string; offset: number },
): PolicyProblem[] {
  const at = error.sourceLocations?.[0];
  const place = at
    ? placeOf(
        text.whole,
        text.offset + fromByteOffset(text.source, at.start),
        text.offset + fromByteOffset(text.source, at.end),
      )
    : placeOf(text.whole, text.offset, text.offset + text.source.length);
  const label = at?.label ?? null;
  return [
    problemIn(of, place, withoutId(error.message), error.help ?? label),
    ...(error.related ?? []).flatMap((related) => problemsFrom(of, related, text)),
  ];
}

/** One error for all that is wrong: the first in words, and each in `extra.problems`. */
export function invalidPolicies(problems: readonly PolicyProblem[]): GatehouseError {
  const [first] = problems as [PolicyProblem];
  const more = problems.length > 1 ? ` And ${problems.length - 1} more.` : '';
  return new GatehouseError('bad-request', 'policy.invalid', `${inWords(first)}${more}`, {
    extra: {
      kind: first.kind,
      name: first.name,
      ...(first.place && { file: first.name, line: first.place.line, column: first.place.column }),
      problems: problems.slice(0, policyLimits.listedProblems),
    },
  });
}

function inWords({ kind, name, place, message, help }: PolicyProblem): string {
  const where = place ? `${kind} ${name}, line ${place.line}, column ${place.column}` : `${kind} ${name}`;
  return `${where}: ${[message, help].filter(Boolean).join('; ')}`;
}

/** Its id stands beside it. */
export const withoutId = (message: string) => message.replace(/^for policy `[^`]*`, /, '');
