import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Json, Served } from './serving.ts';

const root = join(import.meta.dirname, '..', '..');
const resolve = createRequire(join(root, 'packages', 'server', 'package.json')).resolve;
const published = (name: string) =>
  join(resolve(`@modelcontextprotocol/${name}/package.json`), '..', 'dist', 'index.js');

/** Servers that people use, and what each serves, entry by entry as it came over the wire. */
export const realServers = ['everything', 'filesystem', 'memory', 'shop'] as const;
export type RealServer = (typeof realServers)[number];

export async function readReal(name: RealServer): Promise<Served> {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-definitions-'));
  const args: Record<RealServer, string[]> = {
    everything: [published('server-everything'), 'stdio'],
    filesystem: [published('server-filesystem'), directory],
    memory: [published('server-memory')],
    shop: [join(root, 'examples', 'shop', 'src', 'main.ts'), '--database', join(directory, 'shop.sqlite')],
  };
  const child = spawn(process.execPath, args[name], { cwd: directory, stdio: ['pipe', 'pipe', 'ignore'] });
  const waiting = new Map<number, (answer: Json) => void>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    const message = JSON.parse(line) as { id?: number };
    if (message.id !== undefined) waiting.get(message.id)?.(message);
  });
  let id = 0;
  const say = (message: Json) => child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  const ask = async (method: string, params: Json = {}): Promise<Json> => {
    const { promise, resolve } = Promise.withResolvers<Json>();
    waiting.set(++id, resolve);
    say({ id, method, params });
    child.once('exit', () => resolve({}));
    return ((await promise).result ?? {}) as Json;
  };
  const list = async <Entry>(method: string, member: string): Promise<Entry[]> => {
    const entries: Entry[] = [];
    for (let cursor: unknown; ; ) {
      const page = await ask(method, cursor === undefined ? {} : { cursor });
      entries.push(...((page[member] ?? []) as Entry[]));
      cursor = page.nextCursor;
      if (cursor === undefined) return entries;
    }
  };
  try {
    const clientInfo = { name: 'definitions', version: '1' };
    const { instructions } = await ask('initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo });
    say({ method: 'notifications/initialized' });
    return {
      ...(typeof instructions === 'string' && { instructions }),
      tools: await list('tools/list', 'tools'),
      prompts: await list('prompts/list', 'prompts'),
      resources: await list('resources/list', 'resources'),
      resourceTemplates: await list('resources/templates/list', 'resourceTemplates'),
    };
  } finally {
    child.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  }
}
