import type { LocatedProblem, PolicyProblem } from '@gatehouse/protocol';
import type { LocatedManifest } from '../../registry/index.ts';
import type { Facts } from './facts.ts';

/**
 * `@lint_ignore("code reason; code reason")` on a policy. What is ignored without a reason, or is not found at all, is said: an ignore
 * must not outlive what it is for.
 */
export function withoutIgnored({ facts, finding }: Facts, problems: PolicyProblem[]): PolicyProblem[] {
  const kept = new Set(problems);
  const more: PolicyProblem[] = [];
  for (const fact of facts) {
    const given = fact.policy.json.annotations?.lint_ignore;
    if (given === undefined) continue;
    for (const each of given.split(';')) {
      const [, code = '', reason = ''] = /^\s*(?:lint\.)?([a-z-]*)\s*(.*?)\s*$/s.exec(each) ?? [];
      const meant = problems.filter((problem) => problem.policy === fact.policy.id && problem.code === `lint.${code}`);
      if (reason === '')
        more.push(
          finding(fact, {
            code: 'ignored-without-reason',
            message: `@lint_ignore("${given}") gives no reason`,
            help: 'write @lint_ignore("CODE REASON")',
          }),
        );
      else if (meant.length === 0)
        more.push(
          finding(fact, {
            code: 'ignored-in-vain',
            severity: 'info',
            message: `@lint_ignore: there is no "${code}" here`,
            help: 'take it out',
          }),
        );
      else for (const problem of meant) kept.delete(problem);
    }
  }
  return [...kept, ...more];
}

/** `# lint-ignore CODE REASON` behind the place, or on a line of comments above it. */
export function isIgnoredAt(manifests: readonly LocatedManifest[], { file, at, code }: LocatedProblem): boolean {
  const text = manifests.find((each) => each.file === file)?.text;
  if (!text || !at) return false;
  const lines = text.split('\n');
  const ignored = (line: string) => {
    const [, given, reason = ''] = /#\s*lint-ignore\s+(?:lint\.)?([a-z-]+)\s*(.*)$/.exec(line) ?? [];
    return given !== undefined && `lint.${given}` === code && reason.trim() !== '';
  };
  if (ignored(lines[at.line - 1] ?? '')) return true;
  for (let above = at.line - 2; /^\s*#/.test(lines[above] ?? ''); above--) if (ignored(lines[above] ?? '')) return true;
  return false;
}
