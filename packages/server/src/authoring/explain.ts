import type { TracedClause, TracedPolicy, TracedSide } from '../policy/index.ts';

/** What became of each policy of a call, for people: one line for each, with its conditions below. */
export function explanationLines(sides: readonly TracedSide[]): string[] {
  return sides.flatMap(({ kind, name, policies }) => [
    ...(sides.length > 1 ? [{ task: `agent ${name}`, 'handed-on-by': `handed on by ${name}`, user: name }[kind]] : []),
    ...(policies.length === 0 ? ['no policy is about this'] : policies.flatMap(policyLines)),
  ]);
}

function policyLines({ id, effect, applies, tier, clauses }: TracedPolicy): string[] {
  const does = { permit: 'permits', forbid: 'forbids', raise: `raises to tier ${tier}` }[effect];
  const verb = applies ? does : `does not apply (${effect === 'raise' ? 'would raise' : effect})`;
  return [`${id} ${verb}`, ...clauses.map((clause) => `  ${clauseLine(clause)}`)];
}

function clauseLine({ words, holds, error, values }: TracedClause): string {
  const mark = holds === null ? '?' : holds ? 'yes' : 'NO';
  const seen = Object.entries(values).map(([path, value]) => `${path} = ${shown(value)}`);
  return `${mark.padEnd(3)} ${words}${seen.length > 0 ? `   (${seen.join(', ')})` : ''}${error === null ? '' : `   ${error}`}`;
}

function shown(value: unknown): string {
  const text = value === null ? 'not given' : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80).toWellFormed()}…` : text;
}
