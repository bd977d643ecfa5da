import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type AgentTask,
  createAgent,
  createMcpTransport,
  createSvidSource,
  outsideTokenCredential,
} from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import { manifests } from '../../test/support/fixtures.ts';
import { startWorkspace, type Workspace } from '../../test/support/workspace.ts';
import type { Part } from '../part.ts';
import { createCases, resultOf } from './cases.ts';
import { buildSpire, SPIRE_VERSION, type Spire, startSpire } from './spire-server.ts';

const [OURS, THEIRS] = ['example.test', 'partner.test'];
const task = { template: 'all', intent: 'try SPIRE' };
type Check = ReturnType<typeof createCases>['check'];

/** SPIRE as another trust domain, federated both ways. */
export const spire: Part = {
  heading: 'SPIRE as a federated trust domain (C4)',
  async run() {
    const bin = await buildSpire();
    const workspace = await startWorkspace({ mutualTls: true });
    const { cases, check } = createCases();
    let other: Spire | undefined;
    try {
      await workspace.apply(manifests());
      const roots = rootsOf(await bundleOf(workspace));
      const bundleUrl = `${workspace.mutualTlsUrl}/.well-known/spiffe/bundle`;
      other = await startSpire(bin, THEIRS, { trustDomain: OURS, bundleUrl, roots });
      await tryBundles(workspace, other, check);
      await tryTheirs(workspace, other, check);
      await tryOurs(workspace, other, check);
    } finally {
      await other?.close();
      await workspace.close();
    }
    const how =
      'A SPIRE server and agent of the trust domain partner.test, with a bundle endpoint (https_web), and workloads that the agent attests by their user. Nothing is handed over by hand but the addresses and what HTTPS is verified with.';
    return resultOf(`SPIRE ${SPIRE_VERSION}`, how, cases);
  },
};

interface Bundle {
  keys: { use: string; kid?: string; x5c?: string[] }[];
}

async function bundleOf({ url }: Workspace): Promise<Bundle> {
  return (await (await fetch(`${url}/.well-known/spiffe/bundle`)).json()) as Bundle;
}

const derOf = ({ keys }: Bundle) => keys.flatMap(({ use, x5c = [] }) => (use === 'x509-svid' ? x5c : []));
const rootsOf = (bundle: Bundle) =>
  derOf(bundle)
    .map((der) => `-----BEGIN CERTIFICATE-----\n${der.match(/.{1,64}/g)?.join('\n')}\n-----END CERTIFICATE-----\n`)
    .join('');

const rule = (workload: string, more: { reuse?: 'same-key' } = {}) => ({
  kind: 'TrustRule' as const,
  name: workload,
  issuer: { type: 'spiffe' as const, trustDomain: THEIRS },
  claims: { sub: `spiffe://${THEIRS}/${workload}` },
  agent: 'agent-a',
  ...more,
});

async function tryBundles(workspace: Workspace, other: Spire, check: Check): Promise<void> {
  await check('SPIRE has fetched our bundle: the same X.509 roots and JWT keys', async () => {
    const text = await other.server('bundle', 'list', '-id', `spiffe://${OURS}`, '-format', 'spiffe');
    const [theirs, ours] = [JSON.parse(text) as Bundle, await bundleOf(workspace)];
    const kids = ({ keys }: Bundle) => keys.flatMap(({ use, kid }) => (use === 'jwt-svid' ? [kid] : [])).sort();
    assert.deepEqual(derOf(theirs), derOf(ours));
    assert.deepEqual(kids(theirs), kids(ours));
  });
  await check('we have fetched its bundle', async () => {
    await workspace.apply([
      {
        kind: 'TrustDomain',
        name: THEIRS,
        bundleUrl: other.bundleUrl,
        ca: other.bundleCa,
        allowPrivateAddress: true,
      },
      rule('orders'),
      rule('reports', { reuse: 'same-key' }),
    ]);
    let problem: unknown;
    for (let tries = 0; tries < 90; tries++) {
      const [found] = (await workspace.operator('GET /trust-domain')).federated;
      if (found?.state === 'fresh') {
        assert.ok(found.x509Roots > 0 && found.jwtKeys > 0);
        return;
      }
      problem = found?.problem;
      await delay(1_000);
    }
    throw new Error(String(problem));
  });
}

async function tryTheirs(workspace: Workspace, other: Spire, check: Check): Promise<void> {
  const jwtOf = async (name: string, audience: string) => {
    const id = `spiffe://${THEIRS}/${name}`;
    const text = await other.agent('api', 'fetch', 'jwt', '-audience', audience, '-spiffeID', id);
    return /eyJ\S+/.exec(text)?.[0] ?? '';
  };
  /** `createAgent` makes a new key for each client. */
  const clientWith = (token: () => Promise<string>) =>
    createAgent({ url: workspace.url, agent: 'agent-a', credential: outsideTokenCredential(token) });
  const start = async (token: () => Promise<string>) => (await clientWith(token)).startTask(task);
  await check('a JWT-SVID of its workload is an agent by a trust rule, and the agent calls a tool', async () => {
    await calls(await start(() => jwtOf('orders', workspace.url)));
  });
  await check('a JWT-SVID for another audience, or of another workload, is nothing', async () => {
    await assert.rejects(start(() => jwtOf('orders', 'https://other.example')));
    await assert.rejects(start(() => jwtOf('other', workspace.url)));
  });
  await check(
    'SPIRE gives the same JWT-SVID until half of its life: it is taken once, or, by a rule with reuse: same-key, with the key of its first use',
    async () => {
      await assert.rejects(
        start(() => jwtOf('orders', workspace.url)),
        /used before/,
      );
      const reports = () => jwtOf('reports', workspace.url);
      const client = await clientWith(reports);
      for (const intent of ['first', 'second']) await calls(await client.startTask({ ...task, intent }));
      await assert.rejects(start(reports), 'with another key');
    },
  );

  const files = join(other.directory, 'workload');
  mkdirSync(files);
  await check(
    'an X.509-SVID of its workload is that agent over mutual TLS, and the gate is verified with the bundle that SPIRE federates',
    async () => {
      await other.agent('api', 'fetch', 'x509', '-write', files);
      await calls(
        await (await createAgent({ url: workspace.url, agent: 'agent-a', svid: svidIn(files, 'orders') })).startTask(
          task,
        ),
      );
    },
  );
  await check('an X.509-SVID of another workload is nobody', async () => {
    const svid = svidIn(files, 'other');
    await assert.rejects(
      createAgent({ url: workspace.url, agent: 'agent-a', svid }).then((client) => client.startTask(task)),
    );
  });
}

/** What the agent wrote, by the SPIFFE ID: it numbers SVIDs in an order of its own. */
function svidIn(files: string, name: string) {
  const at = (file: string) => join(files, file);
  for (const number of [0, 1, 2]) {
    const { subjectAltName } = new X509Certificate(readFileSync(at(`svid.${number}.pem`)));
    if (subjectAltName?.includes(`spiffe://${THEIRS}/${name}`))
      return {
        cert: at(`svid.${number}.pem`),
        key: at(`svid.${number}.key`),
        ca: at(`federated_bundle.${number}.0.pem`),
      };
  }
  throw new Error(`the agent gave no SVID of ${name}`);
}

async function tryOurs(workspace: Workspace, other: Spire, check: Check): Promise<void> {
  const { key } = await workspace.agent('agent-b');
  const source = createSvidSource({ url: workspace.url, agent: 'agent-b', key });
  await check('a JWT-SVID of our agent is validated by its workload, for its audience only', async () => {
    const { token, spiffeId } = await source.jwt(['orders.partner.test']);
    const validate = (audience: string) => other.agent('api', 'validate', 'jwt', '-audience', audience, '-svid', token);
    assert.ok((await validate('orders.partner.test')).includes(spiffeId));
    await assert.rejects(validate('billing.partner.test'));
  });
  source.close();
}

async function calls(task: AgentTask): Promise<void> {
  const client = new Client({ name: 'conformance', version: '1' });
  await client.connect(createMcpTransport(task));
  const answer = await client.callTool({ name: 'shop__get_order', arguments: { order: 1042 } });
  await client.close();
  assert.ok(!answer.isError, JSON.stringify(answer));
}
