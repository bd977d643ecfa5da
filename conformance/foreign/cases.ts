import type { PartResult } from '../part.ts';

/** What was tried with a foreign product, and how each case went. */
export interface Case {
  name: string;
  /** Why it failed. */
  problem?: string;
}

export function createCases() {
  const cases: Case[] = [];
  return {
    cases,
    async check(name: string, work: () => Promise<unknown>): Promise<void> {
      const problem = await work().then(
        () => undefined,
        (error: unknown) => (error instanceof Error ? error.message : String(error)),
      );
      tell(`${problem === undefined ? 'passed' : 'FAILED'}: ${name}`);
      cases.push({ name, ...(problem !== undefined && { problem }) });
    },
  };
}

/** Names of cases are sentences without their end. */
export function resultOf(versions: string, how: string, cases: Case[]): PartResult {
  const list = cases.map(({ name, problem }) => `- ${problem === undefined ? '' : '**Fails**: '}${name}.`).join('\n');
  const failing = cases.flatMap(({ name, problem }) => (problem === undefined ? [] : `${name}: ${problem}`));
  return { versions, text: `${how}\n\n${list}`, failing, rows: cases };
}

/** On standard error, so that standard output is the result alone. */
export const tell = (text: string): void => console.error(text);
