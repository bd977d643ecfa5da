import { globSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exitCodes } from '../exit-codes.ts';
import { CliFailure } from '../failure.ts';
import { clean } from '../output.ts';
import { counted } from '../policy-problems.ts';
import type { Run } from '../verb.ts';

export const format: Run<{ check?: boolean }> = async ({ args, options, out }) => {
  const { formatCedar } = await import('@gatehouse/server/authoring');
  const files = (args.length > 0 ? args : ['.']).flatMap(filesOf);
  const changed: string[] = [];
  const problems: { file: string; problem: string }[] = [];
  for (const file of files) {
    const before = readFileSync(file, 'utf8');
    const formatted = formatCedar(before);
    if ('problem' in formatted) problems.push({ file, problem: formatted.problem });
    else if (formatted.text !== before) {
      changed.push(file);
      if (!options.check) writeFileSync(file, formatted.text);
    }
  }
  const isBad = problems.length > 0 || (options.check === true && changed.length > 0);
  if (out.json) out.printJson({ ok: !isBad, files: files.length, changed, problems });
  else {
    for (const { file, problem } of problems) out.print(clean(`${file}: ${problem}`));
    for (const file of changed) out.print(`${options.check ? 'not formatted: ' : 'formatted: '}${clean(file)}`);
    out.print(
      `${counted(files.length, 'policy file')}, ${changed.length} ${options.check ? 'to be formatted' : 'formatted'}.`,
    );
  }
  return isBad ? exitCodes.failed : exitCodes.ok;
};

function filesOf(path: string): string[] {
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found) throw new CliFailure('noInput', 'format.file', `There is no file or directory ${path}.`);
  if (!found.isDirectory()) return [path];
  return globSync('**/*.cedar', { cwd: path, exclude: ['**/node_modules/**'] })
    .map((each) => join(path, each))
    .sort();
}
