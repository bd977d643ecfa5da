import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Manifest } from '@gatehouse/protocol';
import { CliFailure } from '../failure.ts';
import type { ServerOptions } from '../server-address.ts';
import type { Run } from '../verb.ts';
import { apply } from './workspace.ts';

interface Index {
  packs: { name: string; description: string }[];
  tiers: { tier: number; name: string; meaning: string; examples: string[] }[];
}

type Pack = Index['packs'][number] & { directory: string };

export const listPacks: Run<object> = async ({ out }) => {
  const { packs } = readIndex();
  const items = await Promise.all(
    packs.map(async ({ name, description }) => {
      const manifests = await manifestsOf(name);
      const count = (wanted: string) => manifests.filter(({ kind }) => kind === wanted).length;
      return { name, description, templates: count('Template'), policies: count('Policy') };
    }),
  );
  if (out.json) return out.printJson({ items });
  out.table(
    ['PACK', 'TEMPLATES', 'POLICIES', 'FOR'],
    items.map(({ name, templates, policies, description }) => [name, `${templates}`, `${policies}`, description]),
  );
  out.note('`gatehouse pack show NAME` says what is in one, `gatehouse pack add NAME` takes it.');
};

export const showPack: Run<object> = async ({ args: [name = ''], out }) => {
  const { description } = find(name);
  const manifests = await manifestsOf(name);
  const templates = manifests.filter((each) => each.kind === 'Template');
  const policies = manifests.filter((each) => each.kind === 'Policy');
  const { tiers } = readIndex();
  if (out.json) return out.printJson({ name, description, templates, policies, ...(name === 'default' && { tiers }) });
  out.print(`${out.style('bold', name)}: ${description}\n`);
  out.table(
    ['TEMPLATE', 'PARAMETERS', 'FOR'],
    templates.map((each) => [each.name, Object.keys(each.parameters).join(', ') || '–', each.description ?? '']),
  );
  for (const policy of policies) out.print(`\n${out.style('bold', policy.name)}\n${policy.cedar.trimEnd()}`);
  if (name !== 'default') return;
  out.print('');
  out.table(
    ['TIER', '', 'WHAT HAPPENS', 'EXAMPLES'],
    tiers.map(({ tier, name: word, meaning, examples }) => [`${tier}`, word, meaning, examples.join('; ')]),
  );
};

interface AddOptions extends ServerOptions {
  output?: string;
  force?: boolean;
  apply?: boolean;
}

export const addPack: Run<AddOptions> = async (verb) => {
  const { args, options, out } = verb;
  const pack = find(args[0] ?? '');
  if ((options.output === undefined) === (options.apply !== true))
    throw new CliFailure(
      'usage',
      'pack.where',
      `Say where the pack goes: --output DIRECTORY writes its files, --apply applies it.`,
    );
  if (options.output === undefined) return apply({ ...verb, options: { ...options, file: pack.directory } });
  const target = join(resolve(options.output), pack.name);
  await mkdir(target, { recursive: true });
  const names = readdirSync(pack.directory).sort();
  const files = names.map((file) => join(target, file));
  const there = options.force ? [] : files.filter((file) => existsSync(file));
  if (there.length > 0)
    throw new CliFailure('failed', 'pack.file', `${there.join(', ')} is there already; --force replaces it.`);
  for (const name of names) await writeFile(join(target, name), readFileSync(join(pack.directory, name)));
  if (out.json) return out.printJson({ pack: pack.name, files });
  for (const file of files) out.print(file);
  out.note(`Read them, change what is different with you, and \`gatehouse apply -f ${options.output}\`.`);
};

/** Beside the bundle, or above the sources. */
function directoryOfPacks(): string {
  const candidates = ['..', '../../../..'].map((up) => resolve(import.meta.dirname, up, 'packs'));
  const found = candidates.find((directory) => existsSync(join(directory, 'packs.json')));
  if (found !== undefined) return found;
  throw new CliFailure('noInput', 'pack.missing', 'The packs are not beside this program: install it again.');
}

const readIndex = (): Index => JSON.parse(readFileSync(join(directoryOfPacks(), 'packs.json'), 'utf8')) as Index;

function find(name: string): Pack {
  const { packs } = readIndex();
  const found = packs.find((pack) => pack.name === name);
  if (found) return { ...found, directory: join(directoryOfPacks(), name) };
  throw new CliFailure(
    'usage',
    'pack.unknown',
    `There is no pack "${name}". There are ${packs.map((pack) => pack.name).join(', ')}.`,
  );
}

async function manifestsOf(name: string): Promise<Manifest[]> {
  const { loadManifests } = await import('@gatehouse/server/manifests');
  return loadManifests(find(name).directory);
}
