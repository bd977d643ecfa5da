import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Manifest } from '@gatehouse/protocol';
import type { RunningServer } from '@gatehouse/server';
import { CliFailure } from '../failure.ts';
import { clean, type Output } from '../output.ts';
import { DEFAULT_DATA_DIR, DEFAULT_URL } from '../server-address.ts';

interface Applied {
  directory: string;
  isDefault: boolean;
  objects: number;
  problems: { server: string; problem: string }[];
}

export async function applyFirst(server: RunningServer, given: string | undefined, out: Output): Promise<Applied> {
  const directory = given ?? quickstartDirectory();
  const { loadManifests } = await import('@gatehouse/server/manifests');
  let manifests: Manifest[];
  try {
    manifests = loadManifests(directory);
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause);
    throw new CliFailure(
      'noInput',
      'workspace.invalid',
      `The workspace ${directory} cannot be used, so nothing was applied:\n${detail}\nCorrect it, name another with --workspace, or start with --no-workspace.`,
      { cause },
    );
  }
  out.note(`First start: applying the workspace in ${directory} and asking its tool servers what they serve …`);
  const { changes, problems } = await server.apply(manifests, 'gatehouse');
  return { directory, isDefault: given === undefined, objects: changes.length, problems };
}

/** Beside the bundle, or above the sources. */
function quickstartDirectory(): string {
  const candidates = ['..', '../../../..'].map((up) => resolve(import.meta.dirname, up, 'examples', 'quickstart'));
  const found = candidates.find((directory) => existsSync(directory));
  if (found !== undefined) return found;
  throw new CliFailure(
    'noInput',
    'workspace.missing',
    'The quick-start workspace is not there. Name one with --workspace, or start with --no-workspace.',
  );
}

interface Started {
  dataDir: string;
  publicUrl: string;
  port: number;
  applied: Applied | null;
  isDefault: boolean;
}

export async function announce(server: RunningServer, started: Started, out: Output): Promise<void> {
  const { dataDir, publicUrl, applied } = started;
  const mutualTlsUrl = server.config.mutualTls?.url;
  const links: { email: string; url: string; expiresAt: number }[] = [];
  for (const email of await server.unenrolled()) links.push({ email, ...(await server.createSignInLink(email)) });
  if (out.json) {
    const { address } = server;
    const problems = applied?.problems ?? [];
    out.printJson(
      { publicUrl, mcpUrl: `${publicUrl}/mcp`, mutualTlsUrl, address, dataDir, signInLinks: links, problems },
      { line: true },
    );
    return;
  }
  if (applied) out.note(`Applied ${applied.objects} objects.`);
  for (const { server: name, problem } of applied?.problems ?? [])
    out.note(`! tool server ${name} could not be asked what it serves: ${clean(problem)}`);
  out.print('');
  out.facts([
    ['Console', publicUrl],
    ['MCP', `${publicUrl}/mcp`],
    ...(mutualTlsUrl === undefined ? [] : ([['Mutual TLS', mutualTlsUrl]] as [string, string][])),
    ['Data', dataDir],
  ]);
  if (links.length > 0) out.print('\nSign in (each link works once, within 15 minutes; enrol a passkey there):');
  for (const { email, url } of links) out.print(`  ${clean(email)}  ${url}`);
  const command = commandFor(started);
  out.print('\nTry next:');
  const rows = [
    ['npm run demo', 'the whole story, with a real agent and real tools'],
    [command('agents'), 'who is registered, and in which state'],
    [command('log tail -f'), 'what is being done, as it happens'],
  ];
  const width = Math.max(...rows.map(([line = '']) => line.length));
  for (const [line = '', what] of rows) out.print(`  ${line.padEnd(width)}  ${what}`);
  if (started.isDefault) {
    const agent = 'agent-coding-copilot-staging';
    const url = publicUrl === DEFAULT_URL ? '' : ` --url ${publicUrl}`;
    out.print('\nConnect an MCP client: enrol the agent once, then give the client this command');
    out.print(`  ${command(`agent enroll ${agent}`)}`);
    out.print(
      `  ${executable()} mcp --agent ${agent} --template code-review --intent "review the sample project"${url}`,
    );
    const isOpen = server.config.clients?.dynamic === true;
    out.print('\nOr give it nothing but the MCP address, and consent in the browser');
    out.print(`  npx mcp-remote ${publicUrl}/mcp`);
    if (!isOpen)
      out.print('  (clients that register themselves, as this one does, need a start with --dynamic-clients)');
  }
  out.print('');
}

function commandFor({ dataDir, publicUrl }: Started): (line: string) => string {
  const byNpm = process.env.npm_lifecycle_event !== undefined;
  const url = publicUrl === DEFAULT_URL ? '' : ` --url ${publicUrl}`;
  const data = dataDir === resolve(DEFAULT_DATA_DIR) ? '' : ` --data-dir ${dataDir}`;
  return (line) => `${byNpm ? 'npm run gatehouse -- ' : 'gatehouse '}${line}${url}${data}`;
}

/** What another program can start from anywhere. */
function executable(): string {
  const candidates = ['../packages/cli/bin', '../bin'].map((up) => resolve(import.meta.dirname, up, 'gatehouse.mjs'));
  const found = candidates.find((path) => existsSync(path));
  return found === undefined ? 'gatehouse' : `node ${found}`;
}
