import { type PolicyJson, policyToJson, templateToJson } from '@cedar-policy/cedar-wasm/nodejs';
import { isJsonObject } from '../../platform/index.ts';
import { compileTest } from './expression.ts';
import { nestingProblem } from './nesting.ts';

export type Parsed = { json: PolicyJson } | { problem: string };

/** One policy from its text, by the official parser, with its whole numbers exact: those beyond 2^53 are bigints. It can be compiled. */
export function parsePolicy(text: string): Parsed {
  const parsed = exact(text, policyToJson);
  if ('problem' in parsed) return parsed;
  try {
    for (const { body } of parsed.json.conditions) compileTest(body);
    return parsed;
  } catch (error) {
    if (error instanceof RangeError || error instanceof TypeError) return { problem: error.message };
    throw error;
  }
}

export function parseTemplate(text: string): Parsed {
  return exact(text, templateToJson);
}

type Parser = typeof policyToJson;

const FIRST_MARK = 1_000_000_000_000_000;

/**
 * The official JSON has numbers in it that JavaScript rounds. So each long number in the text is replaced by one of its own that is exact,
 * and the text parsed again: where that mark stands in the JSON, the digits belong. Strings and comments are left as they are.
 */
function exact(text: string, parser: Parser): Parsed {
  const problem = nestingProblem(text);
  if (problem !== undefined) return { problem };
  const answer = parser(text);
  if (answer.type === 'failure')
    return { problem: [answer.errors[0]?.message, answer.errors[0]?.help].filter(Boolean).join('; ') };
  if (!hasRounded(answer.json)) return { json: answer.json };
  const numbers: string[] = [];
  const marked = parser(
    text.replace(/"(?:[^"\\]|\\.)*"|\/\/[^\n]*|\b[0-9]{16,}\b/gs, (token) => {
      if (!/^[0-9]/.test(token)) return token;
      numbers.push(token);
      return String(FIRST_MARK + numbers.length - 1);
    }),
  );
  const json = marked.type === 'success' ? restore(answer.json, marked.json, numbers) : answer.json;
  return hasRounded(json) ? { problem: 'a number in it cannot be read exactly' } : { json: json as PolicyJson };
}

function hasRounded(node: unknown): boolean {
  if (typeof node === 'number') return !Number.isSafeInteger(node);
  return typeof node === 'object' && node !== null && Object.values(node).some(hasRounded);
}

/** `node` with the digits in the place of each mark. */
function restore(node: unknown, marked: unknown, numbers: readonly string[]): unknown {
  if (typeof node === 'number' && !Number.isSafeInteger(node)) {
    const digits = numbers[Math.abs(Number(marked)) - FIRST_MARK];
    return digits === undefined ? node : BigInt(digits) * (node < 0 ? -1n : 1n);
  }
  if (Array.isArray(node) && Array.isArray(marked)) return node.map((each, at) => restore(each, marked[at], numbers));
  if (isJsonObject(node) && isJsonObject(marked))
    return Object.fromEntries(
      Object.entries(node).map(([name, member]) => [name, restore(member, marked[name], numbers)]),
    );
  return node;
}
