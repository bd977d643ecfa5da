import type { Command } from 'commander';
import { CliFailure } from './failure.ts';
import { createProgram } from './program.ts';
import type { Run } from './verb.ts';

/** Words that may follow each verb, from the same tree that the command line is parsed with. */
interface Node {
  path: string[];
  verbs: [string, string][];
  flags: [string, string][];
}

export const completion: Run<object> = async ({ args: [shell = ''], out }) => {
  const make = { bash, zsh, fish }[shell];
  if (!make)
    throw new CliFailure('usage', 'completion.shell', `There is no completion for "${shell}": bash, zsh or fish.`);
  const script = make(nodesOf(createProgram()));
  if (out.json) out.printJson({ shell, script });
  else out.print(script.trimEnd());
};

function nodesOf(command: Command, path: string[] = []): Node[] {
  const verbs = command.commands.map((child): [string, string] => [child.name(), child.description()]);
  const flags = command.options.map((option): [string, string] => [option.long ?? option.flags, option.description]);
  // A group takes the flags of the verb that it runs by default.
  const byDefault = command.commands.find((child) => child.name() === 'list');
  for (const option of byDefault?.options ?? []) flags.push([option.long ?? option.flags, option.description]);
  flags.push(['--help', 'show help']);
  const own = { path, verbs, flags };
  return [own, ...command.commands.flatMap((child) => nodesOf(child, [...path, child.name()]))];
}

function bash(nodes: Node[]): string {
  const cases = nodes.map(
    ({ path, verbs, flags }) =>
      `    '${path.join(' ')}') words='${[...verbs, ...flags].map(([word]) => word).join(' ')}' ;;`,
  );
  return `# bash completion for gatehouse
_gatehouse() {
  local current="\${COMP_WORDS[COMP_CWORD]}" path='' word words='' known
  known='${nodes.map(({ path }) => `|${path.join(' ')}|`).join('')}'
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$known" in *"|\${path:+$path }$word|"*) path="\${path:+$path }$word" ;; esac
  done
  case "$path" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _gatehouse gatehouse
`;
}

function zsh(nodes: Node[]): string {
  const quote = (text: string) =>
    text.replaceAll("'", "'\\''").replaceAll(':', '\\:').replaceAll('[', '\\[').replaceAll(']', '\\]');
  const cases = nodes.map(
    ({ path, verbs, flags }) =>
      `    '${path.join(' ')}') words=(${[...verbs, ...flags].map(([word, what]) => `'${word}:${quote(what)}'`).join(' ')}) ;;`,
  );
  return `#compdef gatehouse
_gatehouse() {
  local path_so_far='' word known
  local -a words_typed
  words_typed=("\${(@)words[2,CURRENT-1]}")
  known='${nodes.map(({ path }) => `|${path.join(' ')}|`).join('')}'
  for word in "\${words_typed[@]}"; do
    case "$known" in *"|\${path_so_far:+$path_so_far }$word|"*) path_so_far="\${path_so_far:+$path_so_far }$word" ;; esac
  done
  local -a candidates
  case "$path_so_far" in
${cases.join('\n').replaceAll(' words=(', ' candidates=(')}
  esac
  _describe 'gatehouse' candidates || _files
}
compdef _gatehouse gatehouse
`;
}

function fish(nodes: Node[]): string {
  const quote = (text: string) => text.replaceAll('\\', '\\\\').replaceAll("'", "\\'");
  const lines = nodes.flatMap(({ path, verbs, flags }) => {
    const when = `__gatehouse_at '${path.join(' ')}'`;
    return [
      ...verbs.map(([word, what]) => `complete -c gatehouse -n "${when}" -f -a '${word}' -d '${quote(what)}'`),
      ...flags
        .filter(([flag]) => flag.startsWith('--'))
        .map(([flag, what]) => `complete -c gatehouse -n "${when}" -l '${flag.slice(2)}' -d '${quote(what)}'`),
    ];
  });
  return `# fish completion for gatehouse
function __gatehouse_at
  set -l known ${nodes.map(({ path }) => `'${path.join(' ')}'`).join(' ')}
  set -l path ''
  for word in (commandline -opc)[2..-1]
    set -l next (string trim -- "$path $word")
    if contains -- $next $known
      set path $next
    end
  end
  test "$path" = "$argv[1]"
end
${lines.join('\n')}
`;
}
