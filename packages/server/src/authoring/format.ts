import { formatPolicies } from '@cedar-policy/cedar-wasm/nodejs';
import { nestingProblem } from '../policy/index.ts';

/** A text of policies as the official formatter writes it; comments stay. */
export function formatCedar(text: string): { text: string } | { problem: string } {
  const nesting = nestingProblem(text);
  if (nesting !== undefined) return { problem: nesting };
  const answer = formatPolicies({ policyText: text, lineWidth: 100, indentWidth: 2 });
  if (answer.type === 'failure') return { problem: answer.errors.map(({ message }) => message).join('; ') };
  return { text: `${answer.formatted_policy.trimEnd()}\n` };
}
