import type { ManifestInput } from '@gatehouse/protocol';
import { agentKeyFromJwk, createAgent } from '@gatehouse/sdk';
import { exportJWK, generateKeyPair } from 'jose';
import { startWorkspace } from '../../test/support/workspace.ts';

/**
 * The gate as a user runs it, on SQLite in one process: token and proof checked, policy decided, dispatch durable before the call
 * leaves, outcome recorded. Prints one line of JSON: the address, and for each way to prove oneself what a client needs.
 */
const [, , kind = 'http', upstream = ''] = process.argv;
const workspace = await startWorkspace();
const policies = Number(process.argv[4] ?? 20);
const manifests: ManifestInput[] = [
  { kind: 'Environment', name: 'bench' },
  { kind: 'Person', email: 'owner@example.test', displayName: 'Owner', roles: ['admin'] },
  { kind: 'Blueprint', name: 'bench', templates: ['bench'] },
  ...[true, false].map(
    (bearerOnly): ManifestInput => ({
      kind: 'Agent',
      name: bearerOnly ? 'agent-bearer' : 'agent-dpop',
      owner: 'owner@example.test',
      purpose: 'bench',
      environment: 'bench',
      blueprint: 'bench',
      bearerOnly,
    }),
  ),
  {
    kind: 'ToolServer',
    name: 'echo',
    environments: ['bench'],
    stateless: true,
    transport:
      kind === 'http'
        ? { type: 'http', url: upstream, allowPrivateAddress: true }
        : { type: 'stdio', command: 'node', args: [upstream] },
    tools: { echo: { tier: 1, effects: ['read'] } },
  },
  { kind: 'Template', name: 'bench', allow: [{ tools: ['echo/*'] }] },
  {
    kind: 'Policy',
    name: 'bench',
    cedar: Array.from(
      { length: policies - 1 },
      (_, at) =>
        `forbid(principal, action == Gatehouse::Action::"echo/echo", resource) when { context.arguments.number == ${-at - 1} };`,
    ).join('\n'),
  },
];
await workspace.apply(manifests);
async function tokenOf(name: string, bearerOnly: boolean) {
  const pair = await generateKeyPair('ES256', { extractable: true });
  const key = await agentKeyFromJwk(await exportJWK(pair.privateKey));
  await workspace.operator('POST /agents/:name/keys', { params: { name }, body: { key: key.publicJwk } });
  return createAgent({ url: workspace.url, agent: name, key, bearerOnly });
}
const task = await (await tokenOf('agent-bearer', true)).startTask({ template: 'bench', intent: 'bench' });
const proven = await (await tokenOf('agent-dpop', false)).startTask({ template: 'bench', intent: 'bench' });
console.log(JSON.stringify({ url: `${workspace.url}/mcp/echo`, bearer: await task.token() }));

process.on('SIGTERM', () => workspace.close().then(() => process.exit(0)));
process.on('message', async ({ proofs }: { proofs: number }) => {
  // Proofs are single-use: enough of them are made before the clock starts, as an agent on another machine would. In small
  // portions, because a server that is kept from its database for 5 s lets nobody in.
  const made: string[] = [];
  while (made.length < proofs) {
    const portion = await Promise.all(
      Array.from({ length: 100 }, () => proven.headersFor(`${workspace.url}/mcp/echo`, 'POST')),
    );
    made.push(...portion.map(({ dpop }) => dpop ?? ''));
    await new Promise(setImmediate);
  }
  process.send?.({ dpop: { token: await proven.token(), proofs: made } });
});
