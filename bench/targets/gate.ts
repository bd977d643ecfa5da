import type { ManifestInput } from '@gatehouse/protocol';
import { agentKeyFromJwk, createAgent } from '@gatehouse/sdk';
import { exportJWK, generateKeyPair } from 'jose';
import { startWorkspace } from '../../test/support/workspace.ts';
import { enrolCrowd } from '../churn.ts';

/**
 * The gate as a user runs it, on SQLite in one process: token and proof checked, policy decided, dispatch durable before the call
 * leaves, outcome recorded. Prints one line of JSON: the address, and for each way to prove oneself what a client needs.
 */
const [, , kind = 'http', upstream = ''] = process.argv;
const workspace = await startWorkspace();
const policies = Number(process.argv[4] ?? 1_000);
/** Of these many each call is looked at by the first; the others are about other agents. */
const ABOUT_THE_CALL = 12;
const crowd = Number(process.argv[5] ?? 0);
const manifests: ManifestInput[] = [
  // A bench is a burst.
  { kind: 'Environment', name: 'bench', breaker: { burst: 'off' } },
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
    // What it gives is labelled, so that each call is looked through for what the task has read, and for where its arguments come from.
    tools: {
      echo: {
        tier: 1,
        effects: ['read'],
        arguments: { text: { role: 'content' } },
        returns: { trust: 'untrusted', sensitive: ['personal'] },
      },
    },
  },
  { kind: 'Template', name: 'bench', allow: [{ tools: ['echo/*'] }] },
  {
    kind: 'Policy',
    name: 'bench',
    cedar: Array.from(
      { length: policies - 1 },
      (_, at) =>
        `forbid(${at < ABOUT_THE_CALL ? 'principal' : `principal in Gatehouse::Agent::"agent-${at}"`}, action == Gatehouse::Action::"echo/echo", resource) when { context.arguments.number == ${-at - 1} };`,
    ).join('\n'),
  },
];
await workspace.apply(manifests);
const enrolledPerSecond = crowd > 0 ? await enrolCrowd(workspace, crowd) : 0;
async function tokenOf(name: string, bearerOnly: boolean) {
  const pair = await generateKeyPair('ES256', { extractable: true });
  const key = await agentKeyFromJwk(await exportJWK(pair.privateKey));
  await workspace.operator('POST /agents/:name/keys', { params: { name }, body: { key: key.publicJwk } });
  return createAgent({ url: workspace.url, agent: name, key, bearerOnly });
}
/** On a busy machine a server loses touch with its database for a moment, and then lets nobody in. */
async function patiently<T>(work: () => Promise<T>, attempts = 20): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (attempts === 1) throw error;
    await new Promise((resolve) => setTimeout(resolve, 500));
    return patiently(work, attempts - 1);
  }
}
const [bearer, dpop] = [await tokenOf('agent-bearer', true), await tokenOf('agent-dpop', false)];
const task = await patiently(() => bearer.startTask({ template: 'bench', intent: 'bench' }));
const proven = await patiently(() => dpop.startTask({ template: 'bench', intent: 'bench' }));
console.log(JSON.stringify({ url: `${workspace.url}/mcp/echo`, bearer: await task.token(), enrolledPerSecond }));

process.on('SIGTERM', () => workspace.close().then(() => process.exit(0)));
process.on('message', async ({ proofs = 0, kills = 0 }: { proofs?: number; kills?: number }) => {
  if (kills > 0) return process.send?.(await killAgain(kills));
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

/** From the request to its answer: stopped everywhere, and recorded; and a page of agents from somewhere in the middle. */
async function killAgain(times: number): Promise<{ killMs: number[]; pageMs: number[] }> {
  const [killMs, pageMs]: [number[], number[]] = [[], []];
  const params = { name: 'agent-dpop' };
  for (let turn = 0; turn < times; turn++) {
    const from = performance.now();
    await workspace.operator('POST /agents/:name/kill', { params, body: { reason: 'bench' } });
    killMs.push(performance.now() - from);
    await workspace.operator('POST /agents/:name/state', { params, body: { state: 'active' } });
    const before = performance.now();
    await workspace.operator('GET /agents', { query: { limit: '200', cursor: `agent-churn-${turn}` } });
    pageMs.push(performance.now() - before);
  }
  return { killMs, pageMs };
}
