import { existsSync, statSync } from 'node:fs';
import type { PlanChange } from '@gatehouse/protocol';
import { exitCodes } from '../exit-codes.ts';
import { CliFailure } from '../failure.ts';
import { clean, type Output } from '../output.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import type { Run } from '../verb.ts';

interface Options extends ServerOptions {
  file: string;
  prune?: boolean;
}

async function bodyOf({ file, prune }: Options) {
  // Whoever applies one file would delete the rest of the workspace with it.
  if (prune && existsSync(file) && !statSync(file).isDirectory())
    throw new CliFailure(
      'usage',
      'prune.file',
      '--prune deletes what a directory does not have: give it the directory with all manifests.',
    );
  const { loadManifests } = await import('@gatehouse/server/manifests');
  return { manifests: loadManifests(file), prune: prune === true };
}

export const plan: Run<Options> = async ({ options, out }) => {
  const { changes } = await operatorOf(options).call('POST /plan', { body: await bodyOf(options) });
  if (out.json) return out.printJson({ changes });
  printChanges(changes, out);
  out.note(`Would be: ${summary(changes)}. Nothing was changed; \`gatehouse apply -f ${options.file}\` does it.`);
};

export const apply: Run<Options> = async ({ options, out }) => {
  const { changes, problems } = await operatorOf(options).call('POST /apply', { body: await bodyOf(options) });
  const exit = problems.length === 0 ? exitCodes.ok : exitCodes.failed;
  if (out.json) {
    out.printJson({ changes, problems });
    return exit;
  }
  printChanges(changes, out);
  out.print(`Applied: ${summary(changes)}.`);
  for (const { server, problem } of problems)
    out.note(`! ${server} could not be asked what it serves: ${clean(problem)}`);
  return exit;
};

const marks = { create: '+', update: '~', delete: '-', unchanged: ' ' } as const;
const styles = { create: 'green', update: 'yellow', delete: 'red', unchanged: 'reset' } as const;

function printChanges(changes: PlanChange[], out: Output): void {
  for (const { operation, kind, name, differences = [], note } of changes) {
    if (operation === 'unchanged' && note === undefined) continue;
    out.print(out.style(styles[operation], `${marks[operation]} ${kind} ${clean(name)}`));
    for (const { path, before, after } of differences)
      out.print(`    ${clean(path)}: ${short(before)} → ${short(after)}`);
    if (note !== undefined) out.print(`    ${clean(note)}`);
  }
}

const SHOWN_CHARS = 200;

function short(value: unknown): string {
  const text = clean(value === undefined ? 'nothing' : JSON.stringify(value));
  return text.length > SHOWN_CHARS ? `${text.slice(0, SHOWN_CHARS)}…` : text;
}

function summary(changes: PlanChange[]): string {
  const words = { create: 'created', update: 'updated', delete: 'deleted', unchanged: 'unchanged' } as const;
  return Object.entries(words)
    .map(([wanted, word]) => `${changes.filter(({ operation }) => operation === wanted).length} ${word}`)
    .join(', ');
}
