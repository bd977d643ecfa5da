import type { PolicyProblem } from '@gatehouse/protocol';
import { CliFailure, toFailure } from '../failure.ts';
import type { Output } from '../output.ts';
import { counted, printProblems } from '../policy-problems.ts';
import { authoring } from './policy-directory.ts';

type Refused = Partial<PolicyProblem> & Pick<PolicyProblem, 'kind' | 'name' | 'path' | 'message'>;

/** A request with the manifests of `path`: what the server finds wrong in them is shown where it stands, as by `policy check`. */
export async function withPlaces<T>(path: string, out: Output, request: () => Promise<T>): Promise<T> {
  try {
    return await request();
  } catch (error) {
    const refused = problemsIn(error);
    if (refused.length === 0) throw error;
    const { locateProblems, readDirectory } = await authoring();
    const problems = locateProblems(readDirectory(path), refused);
    const { code, message } = toFailure(error);
    if (out.json) throw new CliFailure('failed', code, message, { cause: error, more: { problems } });
    printProblems(problems, out);
    throw new CliFailure('failed', code, `Nothing was changed: ${counted(problems.length, 'problem')}.`, {
      cause: error,
    });
  }
}

/** Of problem details (RFC 9457) with a list of them. */
function problemsIn(error: unknown): Refused[] {
  const cause = error instanceof Error ? error.cause : undefined;
  const listed = typeof cause === 'object' && cause !== null && 'problems' in cause ? cause.problems : undefined;
  if (!Array.isArray(listed)) return [];
  return listed.filter(
    (each): each is Refused =>
      typeof each === 'object' &&
      each !== null &&
      ['kind', 'name', 'path', 'message'].every((member) => typeof each[member] === 'string'),
  );
}
