import { formatPolicies } from '@cedar-policy/cedar-wasm/nodejs';
import { nestingProblem } from '../policy/index.ts';

/** A text of policies as the official formatter writes it; comments stay. */
export function formatCedar(text: string): { text: string } | { problem: string } {
  const nesting = nestingProblem(text);
  if (nesting !== undefined) return { problem: nesting };
  const answer = formatted(text);
  if (!answer) return { problem: 'it is too long for the official formatter: split it, or its lists' };
  if (answer.type === 'failure') return { problem: answer.errors.map(({ message }) => message).join('; ') };
  return { text: `${answer.formatted_policy.trimEnd()}\n` };
}

/** It has a small stack of its own, which a list of some thousand elements overflows. */
function formatted(policyText: string) {
  try {
    return formatPolicies({ policyText, lineWidth: 100, indentWidth: 2 });
  } catch (error) {
    if (error instanceof RangeError || error instanceof WebAssembly.RuntimeError) return undefined;
    throw error;
  }
}
