import assert from 'node:assert/strict';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type CredentialSource, type ManifestInput, narrowScope } from '@gatehouse/protocol';
import { type AgentTask, createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import { nameOf } from '../../packages/server/src/credentials/leases/rows.ts';
import type { Left, Made, Order } from '../../packages/server/src/credentials/leases/types.ts';
import { newId } from '../../packages/server/src/platform/ids.ts';
import type { Json } from '../../packages/server/src/platform/index.ts';
import { manifests } from './fixtures.ts';
import { startWorkspace } from './workspace.ts';

const program = join(import.meta.dirname, 'systems-server.ts');
export const patiently = () => AbortSignal.timeout(20_000);

/** What a provider is asked to make by a lease for `asked`. */
export function orderOf(from: CredentialSource, asked: unknown = {}): Order {
  const narrowed = narrowScope(from, asked);
  assert.ok('scope' in narrowed, JSON.stringify(narrowed));
  const lease = newId('lse');
  return {
    ...{ lease, name: nameOf(lease), scope: narrowed.scope as Json, expiresAt: Date.now() + 60_000 },
    ...{ environment: 'production', agent: 'agent-1', task: 'tsk_1' },
  };
}

/** What ending it starts from; without `made` as after a crash. */
export const leftOf = ({ lease, name, scope, expiresAt }: Order, made?: Made): Left => ({
  ...{ lease, name, scope, expiresAt },
  revocation: made?.revocation ?? null,
  makingUntil: Date.now(),
});

export async function until(what: () => Promise<boolean> | boolean): Promise<void> {
  for (const giveUpAt = Date.now() + 20_000; !(await what()); await delay(20)) assert.ok(Date.now() < giveUpAt);
}

/** A workspace whose agents have a tool server that reaches a system with credentials of the provider `system`. */
export async function startCredentialScene(system: {
  from: object;
  secret?: { value: string; origins: string[] };
  /** Of the tool server's environment: `{username}` … */
  env: Record<string, string>;
  /** Of it, without anything of the credential. */
  plainEnv?: Record<string, string>;
  scope?: object;
}) {
  const workspace = await startWorkspace();
  if (system.secret)
    await workspace.operator('PUT /secrets/:name', { params: { name: 'broker' }, body: system.secret });
  const setting = { tier: 1 as const, effects: ['read' as const] };
  await workspace.apply([
    ...manifests().filter(({ kind, name }: { kind: string; name?: string }) => kind !== 'Template' || name !== 'all'),
    { kind: 'Template', name: 'all', allow: [{ tools: ['shop/*', 'systems/*'] }] },
    { kind: 'CredentialProvider', name: 'system', environments: ['production'], from: system.from } as ManifestInput,
    {
      kind: 'ToolServer',
      name: 'systems',
      environments: ['production'],
      transport: {
        type: 'stdio',
        command: 'node',
        args: ['--disable-warning=ExperimentalWarning', program],
        env: system.plainEnv ?? {},
        credential: { provider: 'system', env: system.env, ...(system.scope && { scope: system.scope }) },
      },
      tools: {
        sql: setting,
        redis: setting,
        ssh: setting,
        kubectl: setting,
        postgres: setting,
        s3: setting,
        http: setting,
        leak: setting,
      },
    } as ManifestInput,
  ]);

  async function begin(agentName = 'agent-a') {
    const agent = await workspace.agent(agentName);
    const task = await agent.startTask({ template: 'all', intent: 'look something up' });
    return { task, client: await connect(task) };
  }
  const leasesOf = async (task: string, more: Record<string, string> = {}) =>
    (await workspace.operator('GET /leases', { query: { task, ...more } })).items;

  return {
    ...{ workspace, begin, leasesOf },
    call: async (client: Client, tool: string, args: Record<string, unknown> = {}) =>
      JSON.stringify(
        await client.callTool({ name: `systems__${tool}`, arguments: args }).catch((error: Error) => error.message),
      ),
    gone: (task: string) => until(async () => (await leasesOf(task, { open: 'true' })).length === 0),
  };
}
export type CredentialScene = Awaited<ReturnType<typeof startCredentialScene>>;

async function connect(task: AgentTask): Promise<Client> {
  const client = new Client({ name: 't', version: '1' });
  await client.connect(createMcpTransport(task));
  return client;
}
