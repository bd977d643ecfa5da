import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { ToolDefinitions } from '@gatehouse/protocol';
import { CliFailure, toFailure } from '../failure.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';

export interface DirectoryOptions extends ServerOptions {
  definitions?: string;
}

/**
 * The rooms that a policy author needs are loaded into this process: a directory that nobody has applied is nothing that a server has to
 * know, and a pipeline needs no server.
 */
export const authoring = () => import('@gatehouse/server/authoring');

/** The manifests of a directory with what their tools take: from a file, or from the server. */
export async function openDirectory(path: string, options: DirectoryOptions) {
  if (!existsSync(path)) throw new CliFailure('noInput', 'workspace.missing', `There is no file or directory ${path}.`);
  const { DEFINITIONS_FILE, readDefinitions, readDirectory } = await authoring();
  const directory = readDirectory(path);
  const missing = directory.manifests.length === 0 && directory.problems.length === 0;
  if (missing) throw new CliFailure('noInput', 'workspace.empty', `There are no manifests in ${path}.`);
  const definitions =
    readDefinitions(path, options.definitions) ??
    (directory.manifests.some(({ manifest }) => manifest.kind === 'ToolServer')
      ? await served(options, join(path, DEFINITIONS_FILE))
      : { kind: 'ToolDefinitions' as const, servers: {} });
  return { directory, definitions };
}

async function served(options: ServerOptions, file: string): Promise<ToolDefinitions> {
  try {
    return await pullDefinitions(options);
  } catch (error) {
    const { exitCode, code, message } = toFailure(error);
    const failure = new CliFailure(
      'unavailable',
      code,
      `What the tools take has to be known, and the server can't be asked: ${message} Where it can be, \`gatehouse definitions pull -o ${file}\` writes a file that is used from then on.`,
    );
    Object.assign(failure, { exitCode });
    throw failure;
  }
}

/** What the tools of the server's workspace take and give, as approved. */
export async function pullDefinitions(options: ServerOptions): Promise<ToolDefinitions> {
  const { items } = await operatorOf(options).call('GET /definitions');
  const tools = items.filter(({ kind, approved }) => kind === 'tool' && approved !== null);
  tools.sort((a, b) => (`${a.server}/${a.name}` < `${b.server}/${b.name}` ? -1 : 1));
  const servers = Object.fromEntries(
    [...Map.groupBy(tools, ({ server }) => server)].map(([server, own]) => [
      server,
      Object.fromEntries(own.map(({ name, approved }) => [name, definitionOf(approved)])),
    ]),
  );
  return { kind: 'ToolDefinitions', servers };
}

function definitionOf(approved: { digest: string; body: unknown } | null) {
  const { inputSchema = {}, outputSchema } = (approved?.body ?? {}) as Record<string, Record<string, unknown>>;
  return { digest: approved?.digest ?? '', inputSchema, ...(outputSchema && { outputSchema }) };
}
