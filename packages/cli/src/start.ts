import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';

export interface StartOptions {
  dataDir: string;
  host: string;
  port: number;
  publicUrl?: string;
  database: string;
  /** Directory of manifests to apply to an empty database; null applies none. */
  workspace: string | null;
  consoleDir?: string;
}

/** `gatehouse start`: runs the server until it is told to stop, and says what to do next. */
export async function start(options: StartOptions): Promise<void> {
  const { startServer } = await import('@gatehouse/server');
  const dataDir = resolve(options.dataDir);
  const publicUrl = options.publicUrl ?? `http://localhost:${options.port}`;
  const server = await startServer(
    {
      dataDir,
      database: options.database,
      host: options.host,
      port: options.port,
      publicUrl,
      trustDomain: 'gatehouse.local',
      replica:
        hostname()
          .toLowerCase()
          .replaceAll(/[^a-z0-9-]/g, '-') || 'one',
    },
    options.consoleDir !== undefined && existsSync(join(options.consoleDir, 'index.html'))
      ? { consoleDir: options.consoleDir }
      : {},
  );
  let stopping = false;
  const stop = async () => {
    if (stopping) return;
    stopping = true;
    process.stderr.write('\nStopping …\n');
    await server.close();
    process.exit(0);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void stop());

  const lines: string[] = [];
  if (server.isEmpty() && options.workspace !== null) {
    process.stderr.write(`Applying the workspace in ${options.workspace} …\n`);
    const { loadManifests } = await import('@gatehouse/server/manifests');
    const { changes, problems } = await server.apply(loadManifests(options.workspace), 'gatehouse');
    lines.push(`Workspace  ${changes.length} objects applied from ${options.workspace}`);
    for (const { server: name, problem } of problems)
      lines.push(`  ! tool server ${name} could not be asked what it serves: ${problem}`);
  }
  lines.push(`Data       ${dataDir}`, `Console    ${publicUrl}`, `MCP        ${publicUrl}/mcp`);
  for (const email of await server.unenrolled()) {
    const { url } = await server.createSignInLink(email);
    lines.push(`Sign in    ${email}: ${url}  (once, within 15 minutes)`);
  }
  lines.push(
    '',
    'Try next:',
    '  npm run demo                     the whole story, with a real agent and real tools',
    '  npm run gatehouse -- agents      who is registered, and in which state',
    '  npm run gatehouse -- log tail    what has been done, as it happens',
    '',
  );
  process.stdout.write(`${lines.join('\n')}\n`);
}
