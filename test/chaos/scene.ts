import { type ChildProcess, fork } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ManifestInput } from '@gatehouse/protocol';
import type { AgentTask, Operator } from '@gatehouse/sdk';
import { freePort } from '../support/free-port.ts';
import { type Approver, applyTo, createCaller, enrol, type McpCaller, operatorOf, signIn } from './house.ts';
import { readSeen } from './journal.ts';
import { createReplica, type Replica } from './replica.ts';

/** A server process, two upstreams, agents at work and an approver. */
export interface Scene {
  replica: Replica;
  /** Its data directory as seen from here. */
  dataDir: string;
  operator: Operator;
  caller: McpCaller;
  /** Bearer-only, and one that proves its key with each call. */
  tasks: { bearer: AgentTask; proving: AgentTask };
  approver: Approver;
  /** Ids of all calls that the upstreams saw. */
  seen(): string[];
  /** Called at each call that the HTTP upstream sees. Gives the way to stop. */
  onCall(listener: () => void): () => void;
  close(): Promise<void>;
}

const upstreamScript = join(import.meta.dirname, 'upstream.ts');

export interface Upstream {
  url: string;
  process: ChildProcess;
}

export async function startUpstream(log: string): Promise<Upstream> {
  const child = fork(upstreamScript, [log, 'http'], {
    execArgv: ['--disable-warning=ExperimentalWarning'],
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout?.once('data', (line: Buffer) => resolve(line.toString().trim()));
    child.once('exit', (code) => reject(new Error(`the upstream ended with ${code}`)));
  });
  return { url, process: child };
}

/** One environment; `over-http` and, unless left out, `over-stdio`, each with `note` (tier 1) and `pay` (tier 3). */
export function sceneManifests(upstreamUrl: string, stdioLog?: { directory: string; file: string }): ManifestInput[] {
  const server = (
    name: string,
    transport: Extract<ManifestInput, { kind: 'ToolServer' }>['transport'],
  ): ManifestInput => ({
    kind: 'ToolServer',
    name,
    environments: ['chaos'],
    stateless: true,
    transport,
    tools: { note: { tier: 1, effects: ['write'] }, pay: { tier: 3, effects: ['pay'] } },
  });
  return [
    { kind: 'Environment', name: 'chaos' },
    { kind: 'Person', email: 'owner@example.test', displayName: 'Owner', roles: ['admin'] },
    { kind: 'Person', email: 'approver@example.test', displayName: 'Approver', roles: ['approver'] },
    { kind: 'Blueprint', name: 'chaos', templates: ['all'] },
    ...['agent-bearer', 'agent-proving'].map(
      (name): ManifestInput => ({
        kind: 'Agent',
        name,
        owner: 'owner@example.test',
        purpose: 'chaos',
        environment: 'chaos',
        blueprint: 'chaos',
        bearerOnly: name === 'agent-bearer',
      }),
    ),
    server('over-http', { type: 'http', url: upstreamUrl, allowPrivateAddress: true }),
    ...(stdioLog
      ? [
          server('over-stdio', {
            type: 'stdio',
            command: 'node',
            args: ['--disable-warning=ExperimentalWarning', upstreamScript, stdioLog.file],
            directories: [{ path: stdioLog.directory, access: 'rw' }],
          }),
        ]
      : []),
    { kind: 'Template', name: 'all', allow: [{ tools: ['over-http/*', ...(stdioLog ? ['over-stdio/*'] : [])] }] },
  ];
}

/** `diskMiB`: the server's data lies on a file system of its own, of that size (Linux with user namespaces); without stdio. */
export async function startScene(database: string, { diskMiB }: { diskMiB?: number } = {}): Promise<Scene> {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'gatehouse-chaos-')));
  const stdioDirectory = join(directory, 'stdio');
  mkdirSync(stdioDirectory);
  const files = [join(directory, 'http.log'), join(stdioDirectory, 'stdio.log')] as const;
  const upstream = await startUpstream(files[0]);
  const port = await freePort();
  const url = `http://localhost:${port}`;
  const dataDir = join(directory, 'data');
  mkdirSync(dataDir, { mode: 0o700 });
  const replica = createReplica(
    {
      dataDir,
      database,
      host: '127.0.0.1',
      port,
      publicUrl: url,
      trustDomain: 'example.test',
      replica: 'one',
    },
    diskMiB === undefined ? [] : onOwnDisk(dataDir, diskMiB),
  );
  const caller = createCaller(url);
  async function close(): Promise<void> {
    await caller.close();
    await replica.kill();
    upstream.process.kill();
    rmSync(directory, { recursive: true, force: true });
  }
  try {
    await replica.start();
    const seenFromHere = diskMiB === undefined ? dataDir : `/proc/${replica.pid}/root${dataDir}`;
    const operator = operatorOf(url, seenFromHere);
    const stdio = diskMiB === undefined ? { directory: stdioDirectory, file: files[1] } : undefined;
    await applyTo(operator, sceneManifests(upstream.url, stdio));
    const request = { template: 'all', intent: 'chaos' };
    const tasks = {
      bearer: await (await enrol(operator, 'agent-bearer', { bearerOnly: true })).startTask(request),
      proving: await (await enrol(operator, 'agent-proving', { bearerOnly: false })).startTask(request),
    };
    const approver = await signIn(operator, 'approver@example.test');
    return {
      replica,
      dataDir: seenFromHere,
      operator,
      caller,
      tasks,
      approver,
      seen: () => readSeen([...files]),
      onCall(listener) {
        upstream.process.on('message', listener);
        return () => upstream.process.off('message', listener);
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

export function onOwnDisk(directory: string, sizeMiB: number): string[] {
  const script = `mount -t tmpfs -o size=${sizeMiB}m,mode=0700 tmpfs "$0" && exec "$@"`;
  return ['unshare', '--user', '--map-root-user', '--mount', '--', 'sh', '-c', script, directory];
}
