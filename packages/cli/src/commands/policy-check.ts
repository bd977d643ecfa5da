import { exitCodes } from '../exit-codes.ts';
import { counted, printProblems } from '../policy-problems.ts';
import type { Run } from '../verb.ts';
import { authoring, type DirectoryOptions, openDirectory } from './policy-directory.ts';

/** Exit code 1 when an apply would be refused. */
export const check: Run<DirectoryOptions> = async ({ args: [path = '.'], options, out }) => {
  const { directory, definitions } = await openDirectory(path, options);
  const { checkDirectory } = await authoring();
  const { problems, counts } = checkDirectory(directory, definitions);
  const errors = problems.filter(({ severity }) => severity === 'error').length;
  const exit = errors > 0 ? exitCodes.failed : exitCodes.ok;
  if (out.json) {
    out.printJson({ ok: errors === 0, counts, problems });
    return exit;
  }
  printProblems(problems, out);
  const of = `${counted(counts.policies, 'policy file')}, ${counted(counts.templates, 'template')}, ${counted(counts.tools, 'tool')}`;
  if (problems.length === 0) out.print(`Nothing is wrong: ${of}.`);
  else out.print(`${counted(errors, 'error')}, ${counted(problems.length - errors, 'remark')}: ${of}.`);
  return exit;
};
