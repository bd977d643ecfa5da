import { exitCodes } from '../exit-codes.ts';
import { counted, printProblems } from '../policy-problems.ts';
import type { Run } from '../verb.ts';
import { authoring, type DirectoryOptions, openDirectory } from './policy-directory.ts';

/** Exit code 1 when there is an error, or, with `--strict`, a warning. */
export const lint: Run<DirectoryOptions & { strict?: boolean }> = async ({ args: [path = '.'], options, out }) => {
  const { directory, definitions } = await openDirectory(path, options);
  const { checkDirectory, lintDirectory } = await authoring();
  const { problems, workspace, counts } = checkDirectory(directory, definitions);
  const wrong = problems.filter(({ severity }) => severity === 'error');
  const findings = wrong.length > 0 || !workspace ? wrong : lintDirectory(directory, workspace);
  const of = (wanted: string) => findings.filter(({ severity }) => severity === wanted).length;
  const isBad = of('error') > 0 || (options.strict === true && of('warning') > 0);
  if (out.json) out.printJson({ ok: !isBad, findings });
  else {
    printProblems(findings, out);
    const what = `${counted(counts.policies, 'policy file')}, ${counted(counts.templates, 'template')}`;
    if (findings.length === 0) out.print(`Nothing is found: ${what}.`);
    else
      out.print(
        `${counted(of('error'), 'error')}, ${counted(of('warning'), 'warning')}, ${counted(of('info'), 'note')}: ${what}.`,
      );
  }
  return isBad ? exitCodes.failed : exitCodes.ok;
};
