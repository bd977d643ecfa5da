import { existsSync, statSync } from 'node:fs';
import { exitCodes } from '../exit-codes.ts';
import { CliFailure } from '../failure.ts';
import { clean } from '../output.ts';
import { printChanges, printEnded, printProposed, printWarnings, summary } from '../plan-lines.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import type { Run } from '../verb.ts';
import { withPlaces } from './with-places.ts';

interface Options extends ServerOptions {
  file: string;
  prune?: boolean;
  message?: string;
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
  const body = await bodyOf(options);
  const { changes, ends, warnings } = await withPlaces(options.file, out, () =>
    operatorOf(options).call('POST /plan', { body }),
  );
  if (out.json) return out.printJson({ changes, ends, warnings });
  printChanges(changes, out);
  printEnded('Would end', ends, out);
  printWarnings(warnings, out);
  out.note(`Would be: ${summary(changes)}. Nothing was changed; \`gatehouse apply -f ${options.file}\` does it.`);
};

export const apply: Run<Options> = async ({ options, out }) => {
  const body = { ...(await bodyOf(options)), note: options.message ?? '' };
  const { changes, problems, ended, warnings, proposed } = await withPlaces(options.file, out, () =>
    operatorOf(options).call('POST /apply', { body }),
  );
  const exit = proposed ? exitCodes.pending : problems.length === 0 ? exitCodes.ok : exitCodes.failed;
  if (out.json) {
    out.printJson({ changes, problems, warnings, ...(ended && { ended }), ...(proposed && { proposed }) });
    return exit;
  }
  printChanges(changes, out);
  printWarnings(warnings, out);
  if (proposed) {
    printProposed(proposed, out);
    return exit;
  }
  out.print(`Applied: ${summary(changes)}.`);
  if (ended) printEnded('Ends', ended, out);
  for (const { server, problem } of problems)
    out.note(`! ${server} could not be asked what it serves: ${clean(problem)}`);
  return exit;
};
