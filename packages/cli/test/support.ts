import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { ManifestInput } from '@gatehouse/protocol';
import { startWorkspace, type Workspace } from '../../../test/support/workspace.ts';

export const cliScript = join(import.meta.dirname, '..', 'src', 'main.ts');
export const nodeArgs = ['--disable-warning=ExperimentalWarning', cliScript];

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
  json<T>(): T;
}

/** Runs the command line as a shell would, in a directory and configuration of its own. */
export function createCli(directory: string, env: Record<string, string> = {}) {
  const start = (args: string[]): ChildProcess =>
    spawn(process.execPath, [...nodeArgs, ...args], {
      cwd: directory,
      env: { PATH: process.env.PATH ?? '', HOME: directory, XDG_CONFIG_HOME: join(directory, 'config'), ...env },
      stdio: 'pipe',
    });
  const run = (...args: string[]): Promise<Ended> => ended(start(args));
  return { start, run };
}

export function ended(child: ChildProcess): Promise<Ended> {
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  child.stdin?.end();
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr, json: <T>() => JSON.parse(stdout) as T }));
  });
}

export function scratch(t: Pick<TestContext, 'after'>): string {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-cli-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

const agentName = 'agent-tester-dev';

/** A running server with one agent and one HTTP tool server, and a command line that is its operator. */
export async function startTown(t: Pick<TestContext, 'after'>, peerUrl: string) {
  const workspace: Workspace = await startWorkspace();
  t.after(() => workspace.close());
  await workspace.apply(townManifests(peerUrl));
  const directory = scratch(t);
  const cli = createCli(directory, { GATEHOUSE_URL: workspace.url, GATEHOUSE_DATA_DIR: workspace.dataDir });
  return { workspace, directory, agentName, ...cli };
}

/** `tier` of the peer's tool `add`. */
export function townManifests(peerUrl: string, tier: 1 | 3 = 1): ManifestInput[] {
  const read = { tier: 1 as const, effects: ['read' as const] };
  const named = [
    ...['echo', 'log', 'progress', 'slow', 'wait_until_cancelled', 'ask_form', 'ask_url', 'sample', 'list_roots'],
    ...['toggle_tool', 'extra', 'set_note', 'long_job'],
  ];
  return [
    { kind: 'Environment', name: 'dev' },
    { kind: 'Person', email: 'owner@example.test', displayName: 'Owner', roles: ['admin', 'owner', 'approver'] },
    { kind: 'Person', email: 'approver@example.test', displayName: 'Approver', roles: ['approver'] },
    { kind: 'Blueprint', name: 'tester', templates: ['try-out'] },
    {
      kind: 'Agent',
      name: agentName,
      owner: 'owner@example.test',
      purpose: 'Tries the command line',
      environment: 'dev',
      blueprint: 'tester',
    },
    {
      kind: 'Template',
      name: 'try-out',
      parameters: { label: { type: 'string', required: false } },
      allow: [{ tools: ['peer/*', 'peer#resources', 'peer#prompts'] }],
    },
    {
      kind: 'ToolServer',
      name: 'peer',
      environments: ['dev'],
      transport: { type: 'http', url: peerUrl, allowPrivateAddress: true },
      tools: {
        ...Object.fromEntries(named.map((name) => [name, read])),
        add: { tier, effects: ['read'], resourceArgument: 'a' },
      },
      resources: { tier: 1 },
      prompts: { tier: 1 },
      clientRequests: { sampling: true, elicitation: true, urlElicitation: true, roots: true },
    },
  ];
}
