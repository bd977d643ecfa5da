import type { Command, Option } from 'commander';
import { exitCodeMeanings, exitCodes } from './exit-codes.ts';
import { createProgram } from './program.ts';
import { detailsOf, examplesOf } from './verb.ts';

/** docs/reference/cli.md, from the tree that the command line is parsed with. */
export function cliReference(): string {
  const program = createProgram();
  const verbs = leaves(program, []);
  const rows = Object.entries(exitCodeMeanings).map(
    ([name, meaning]) => `| ${exitCodes[name as keyof typeof exitCodes]} | ${meaning} |`,
  );
  return [
    '# Command line',
    '<!-- Made by scripts/docs.ts from packages/cli/src; edit it there. -->',
    `${program.description()}. Answers go to standard output, everything else to standard error. Every verb takes \`--json\` and \`--help\`. Colours are for terminals only, and never with \`NO_COLOR\`.`,
    'Verbs that ask a server find it by `--url`, then `GATEHOUSE_URL`, then `http://localhost:4283`, and call as the person who has signed in at that address (`gatehouse login`). Where nobody has, or `--data-dir` is given, they use the operator token in the directory of `--data-dir`, then `GATEHOUSE_DATA_DIR`, then `.gatehouse`. Where its certificate is of an authority of your own, name that with `--cacert` or `GATEHOUSE_CACERT`. Either is only sent over https or to this machine, and can approve nothing.',
    '## Exit codes',
    ['| code | meaning |', '| --- | --- |', ...rows].join('\n'),
    'With `--json` a failure is one line on standard error: `{"error":{"code","detail","exitCode"}}`.',
    '## Verbs',
    verbs.map(({ path }) => `- [\`${path}\`](#${anchor(path)})`).join('\n'),
    ...verbs.flatMap(({ path, command }) => section(path, command)),
  ]
    .join('\n\n')
    .concat('\n');
}

interface Leaf {
  path: string;
  command: Command;
}

function leaves(command: Command, before: string[]): Leaf[] {
  return command.commands.flatMap((child) => {
    const path = [...before, child.name()];
    return child.commands.length > 0 ? leaves(child, path) : [{ path: path.join(' '), command: child }];
  });
}

function section(path: string, command: Command): string[] {
  const args = command.registeredArguments.map((argument) => ` <${argument.name()}>`).join('');
  const description = command.description();
  const lines = [
    `### ${path}`,
    `${description[0]?.toUpperCase()}${description.slice(1)}.`,
    `\`\`\`sh\ngatehouse ${path}${args} [options]\n\`\`\``,
  ];
  const details = detailsOf.get(command);
  if (details) lines.push(details);
  lines.push(['| option | |', '| --- | --- |', ...command.options.map(row)].join('\n'));
  const examples = (examplesOf.get(command) ?? []).map(([line, what]) => `# ${what}\ngatehouse ${line}`);
  if (examples.length > 0) lines.push(`\`\`\`sh\n${examples.join('\n')}\n\`\`\``);
  return lines;
}

function row(option: Option): string {
  const extras = [
    option.argChoices && `one of ${option.argChoices.join(', ')}`,
    typeof option.defaultValue === 'string' && option.defaultValue !== '' && `default ${option.defaultValue}`,
    option.mandatory && 'required',
  ].filter(Boolean);
  const text = `${option.description}${extras.length > 0 ? ` (${extras.join('; ')})` : ''}`;
  return `| \`${option.flags}\` | ${text.replaceAll('|', '\\|')} |`;
}

const anchor = (path: string) => path.replaceAll(' ', '-');
