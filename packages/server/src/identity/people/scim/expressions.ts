import { scimLimits as limits } from './limits.ts';
import { scimError } from './resources.ts';

/**
 * Asked before the library reads a filter or the path of a PATCH (RFC 7644 §§3.4.2.2, 3.5.2). It tries an unfinished string anew for
 * each backslash and line end in it, and multiplies groups out: some sixty characters would keep the whole server busy for ever.
 */
export function refuseCostly(expression: string, type: 'invalidFilter' | 'invalidPath'): void {
  const chars = type === 'invalidPath' ? limits.pathChars : limits.filterChars;
  const what = type === 'invalidPath' ? 'A path' : 'A filter';
  if (expression.length > chars) throw scimError(400, type, `${what} has at most ${chars} characters.`);
  if (/[\\\p{Cc}]/u.test(expression))
    throw scimError(
      400,
      type,
      `${what} has neither backslashes nor control characters in it, but where it is one comparison (eq) of id, externalId or userName.`,
    );
  const groups = expression.match(/[([]/g)?.length ?? 0;
  const terms = (expression.match(/\b(?:and|or)\b/gi)?.length ?? 0) + 1;
  if (groups > limits.filterGroups || terms > limits.filterTerms)
    throw scimError(
      400,
      type,
      `${what} has at most ${limits.filterGroups} groups and ${limits.filterTerms} comparisons. Ask in several requests.`,
    );
}

/** The same for all paths of a PATCH; without a path, the names of the members are read as such. */
export function refuseCostlyPaths(body: unknown): void {
  const { Operations } = body as { Operations?: unknown };
  if (!Array.isArray(Operations)) return;
  for (const operation of Operations) {
    if (typeof operation !== 'object' || operation === null) continue;
    const { path, value } = operation as { path?: unknown; value?: unknown };
    if (typeof path === 'string') refuseCostly(path, 'invalidPath');
    else if (typeof value === 'object' && value !== null && !Array.isArray(value))
      for (const name of Object.keys(value)) refuseCostly(name, 'invalidPath');
  }
}
