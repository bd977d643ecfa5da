import type { ArgumentOrigin, Decision } from '@gatehouse/protocol';
import { coveredBy, type Origin, type SeenView } from '../policy/index.ts';
import type { RegisteredTool } from '../registry/index.ts';

/** Says of a call that the flow rules hold for a person which arguments it is, and where each came from. */
export function explainFlow(decision: Decision, seen: SeenView): Decision {
  if (!decision.policies.some((id) => id.startsWith('gatehouse/flow#'))) return decision;
  const held = Object.entries(seen.origins)
    .filter(([, { provenance }]) => provenance === 'untrusted' || provenance === 'unknown')
    .map(([argument, origin]) => `${argument} ${originInWords(origin)}`);
  return held.length === 0 ? decision : { ...decision, reason: `${decision.reason} ${held.join('; ')}.` };
}

/** For an approver: each argument that has a role, with where it came from. */
export const originsOf = (seen: SeenView, tool: RegisteredTool): ArgumentOrigin[] =>
  Object.entries(seen.origins).map(([argument, origin]) => ({
    argument,
    role: origin.role,
    provenance: origin.provenance,
    value: origin.value.slice(0, SHOWN),
    words: originInWords(origin),
    source: origin.source ?? null,
    held: origin.held.map((each) => ({ ...each, for: coveredBy(tool) })),
  }));

const SHOWN = 120;

function originInWords({ provenance, value, source }: Origin): string {
  const shown = JSON.stringify(value.length > SHOWN ? `${value.slice(0, SHOWN)}…` : value);
  const from = source ? `: result of ${source.tool} in ${source.actionId}` : '';
  switch (provenance) {
    case 'stated':
      return `(${shown}) was named by who started the task`;
    case 'endorsed':
      return `(${shown}) was approved by a person for this task`;
    case 'trusted':
      return `(${shown}) came from a trusted result${from}`;
    case 'derived':
      return `(${shown}) was made or worked out by the task itself${from}`;
    case 'untrusted':
      return `(${shown}) came from untrusted content${from}`;
    case 'unknown':
      return `(${shown}) came from nowhere known`;
  }
}
