import { existsSync } from 'node:fs';
import type { Manifest } from '@gatehouse/protocol';
import type { Given } from '@gatehouse/server/authoring';
import { CliFailure, toFailure } from '../failure.ts';
import type { Output } from '../output.ts';
import { printProblems } from '../policy-problems.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import { authoring, type DirectoryOptions, openDirectory, pullDefinitions } from './policy-directory.ts';

/** What can be compared: a directory, a version of the server's policies, or what is in force there now. */
export type Named = { directory: string } | { version: number } | { live: true };

/** A number is a version, unless a directory is called so. */
export function named(text: string): Named {
  if (!existsSync(text) && /^\d{1,9}$/.test(text)) return { version: Number(text) };
  return { directory: text };
}

export const nameOfSide = (side: Named): string =>
  'directory' in side ? side.directory : 'version' in side ? `version ${side.version}` : 'what is in force';

/** Both sides; undefined where a directory would not load, after its problems were printed. */
export async function openSides(
  [before, after]: readonly [Named, Named],
  options: DirectoryOptions & { prune?: boolean },
  out: Output,
): Promise<[Given, Given] | undefined> {
  const isLive = (side: Named) => !('directory' in side);
  const live = [before, after].some(isLive) ? await liveSide(options) : undefined;
  const open = async (side: Named): Promise<Given | undefined> => {
    if ('directory' in side) {
      const given = await directorySide(side.directory, options, out, live);
      // What a directory does not have stays, as with an apply.
      return given && live && !options.prune ? merged(live, given) : given;
    }
    if (!live || 'live' in side) return live;
    return versionSide(live, await manifestsOfVersion(side.version, options));
  };
  const [was, is] = [await open(before), await open(after)];
  return was && is && [was, is];
}

async function liveSide(options: ServerOptions): Promise<Given> {
  const operator = operatorOf(options);
  const [{ manifests }, definitions] = await Promise.all([operator.call('GET /export'), pullDefinitions(options)]);
  return { manifests: manifests as Manifest[], definitions };
}

async function manifestsOfVersion(number: number, options: ServerOptions): Promise<Manifest[]> {
  try {
    const params = { number: String(number) };
    return (await operatorOf(options).call('GET /policy/versions/:number', { params })).manifests;
  } catch (error) {
    const { code, message } = toFailure(error);
    if (code === 'policy-version.unknown') throw new CliFailure('noInput', code, message, { cause: error });
    throw error;
  }
}

/** With what the server's tools take, where there is one: that is what they are. */
async function directorySide(
  path: string,
  options: DirectoryOptions,
  out: Output,
  live: Given | undefined,
): Promise<Given | undefined> {
  const { checkDirectory, readDirectory, readTestFiles } = await authoring();
  const opened = live
    ? { directory: readDirectory(path), definitions: live.definitions }
    : await openDirectory(path, options);
  const { directory, definitions } = opened;
  if (directory.manifests.length === 0 && directory.problems.length === 0)
    throw new CliFailure('noInput', 'workspace.empty', `There are no manifests in ${path}.`);
  const manifests = directory.manifests.map(({ manifest }) => manifest);
  if (live) {
    if (directory.problems.length === 0) return { manifests, definitions };
  }
  const { problems } = checkDirectory(directory, definitions);
  const errors = problems.filter(({ severity }) => severity === 'error');
  if (errors.length > 0) {
    if (out.json) out.printJson({ same: false, problems: errors });
    else {
      printProblems(errors, out, `${path}/`);
      out.note('Nothing was compared: this has to be put right first.');
    }
    return undefined;
  }
  return { manifests, definitions, standIns: readTestFiles(directory.path, directory.tests).standIns };
}

const keyOf = (manifest: Manifest) => `${manifest.kind}/${manifest.kind === 'Person' ? manifest.email : manifest.name}`;

function merged(live: Given, given: Given): Given {
  const own = new Set(given.manifests.map(keyOf));
  return { ...given, manifests: [...live.manifests.filter((each) => !own.has(keyOf(each))), ...given.manifests] };
}

/** A version keeps what decides: where servers are and who is in groups is as now. */
function versionSide(live: Given, parts: readonly Manifest[]): Given {
  const now = new Map(live.manifests.map((manifest) => [keyOf(manifest), manifest]));
  const environments = live.manifests.flatMap((each) => (each.kind === 'Environment' ? [each.name] : []));
  const deciding = new Set(['ToolServer', 'Template', 'Group', 'Policy', 'Budget', 'Calendar', 'ApprovalRule']);
  const elsewhere = {
    environments,
    stateless: false,
    transport: { type: 'stdio', command: 'gone', args: [], env: {}, directories: [] },
  };
  const manifests = parts.map((part) => {
    const current = now.get(keyOf(part));
    if (part.kind === 'ToolServer') return { ...elsewhere, ...pick(current), ...part } as Manifest;
    if (part.kind === 'Group') return { members: [], ...current, allow: part.allow, kind: 'Group', name: part.name };
    return part;
  });
  return {
    ...live,
    manifests: [...live.manifests.filter(({ kind }) => !deciding.has(kind)), ...(manifests as Manifest[])],
  };
}

function pick(manifest: Manifest | undefined): object {
  if (manifest?.kind !== 'ToolServer') return {};
  const { transport, environments, stateless, description } = manifest;
  return { transport, environments, stateless, ...(description !== undefined && { description }) };
}

/** For two names, or one and `--live`. */
export function sidesNamed(args: readonly string[], live: boolean): [Named, Named] {
  const [first, second, more] = args;
  if (first === undefined || more !== undefined || (second !== undefined) === live)
    throw new CliFailure(
      'usage',
      'diff.sides',
      'Name two to compare, each a directory or a number of `gatehouse policy versions`; or one and --live.',
    );
  return live ? [{ live: true }, named(first)] : [named(first), named(second as string)];
}
