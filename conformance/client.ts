/**
 * node conformance/client.ts URL
 *
 * What the official suite starts as "the client". In scenarios about authorization a running gate (GATEHOUSE_URL, GATEHOUSE_DATA_DIR) is
 * given the scenario's server as an upstream, an operator connects it as the manifest says, and an agent calls its tools through the
 * gate; the suite sees what the gate does at the authorization server and the MCP server. Other scenarios drive the gate's client side
 * by itself.
 */
import { setTimeout } from 'node:timers/promises';
import type { ManifestInput, UpstreamAuthorization } from '@gatehouse/protocol';
import { agentKeyFromJwk, createAgent } from '@gatehouse/sdk';
import { createOperator } from '@gatehouse/sdk/operator';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { exportJWK, generateKeyPair } from 'jose';
import { openConnect } from '../test/support/connect-browser.ts';

const url = process.argv[2] as string;
const scenario = process.env.MCP_CONFORMANCE_SCENARIO ?? '';
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}') as Record<string, string>;

const gateUrl = process.env.GATEHOUSE_URL ?? '';
const operator = createOperator({ url: gateUrl, dataDir: process.env.GATEHOUSE_DATA_DIR ?? '' });
/** Scenarios share the gate, and nothing in it. */
const suffix = `p${new URL(url).port}`;
const server = `peer-${suffix}`;
const environment = `suite-${suffix}`;

if (scenario.startsWith('auth/')) await throughGate();
else await import('../packages/server/src/gate/upstream/testing/conformance-client.ts');

async function throughGate(): Promise<void> {
  const agent = `agent-${suffix}`;
  await operator.call('POST /apply', { body: { manifests: manifests(agent, await settings()), prune: false } });
  await connecting(() => operator.call('POST /servers/:name/refresh', { params: { name: server } }));
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  const key = await agentKeyFromJwk(await exportJWK(privateKey));
  await operator.call('POST /agents/:name/keys', { params: { name: agent }, body: { key: key.publicJwk } });
  const task = await (await createAgent({ url: gateUrl, agent, key })).startTask({
    template: `suite-${suffix}`,
    intent: 'call what there is',
  });
  const client = new Client({ name: 'suite', version: '1.0.0' }, { versionNegotiation: { mode: 'auto' } });
  await client.connect(new StreamableHTTPClientTransport(task.mcpUrl(server), { fetch: task.fetch }));
  const { tools } = await client.listTools();
  for (const { name } of tools)
    await connecting(async () => {
      const result = await client.callTool({ name, arguments: {} });
      if (result.isError) throw new Error(JSON.stringify(result.content));
    });
  await client.close();
}

/** The suite's credentials as an operator enters them. The secrets are for the authorization server that the operator knows. */
async function settings(): Promise<Partial<UpstreamAuthorization>> {
  const secret = async (kind: string, value: string | undefined, origin: string) => {
    const name = `${kind}-${suffix}`;
    await operator.call('PUT /secrets/:name', { params: { name }, body: { value, origins: [origin] } });
    return name;
  };
  const { client_id: clientId, client_secret: clientSecret } = context;
  switch (scenario) {
    case 'auth/client-credentials-jwt': {
      const clientKey = await secret('client-key', context.private_key_pem, await issuerOrigin());
      return { grant: 'client_credentials', clientId, clientKey };
    }
    case 'auth/client-credentials-basic':
      return {
        grant: 'client_credentials',
        clientId,
        clientSecret: await secret('client-secret', clientSecret, await issuerOrigin()),
      };
    case 'auth/wif-jwt-bearer':
      return {
        grant: 'jwt_bearer',
        clientId,
        assertion: await secret('assertion', context.valid_jwt, await issuerOrigin()),
      };
    case 'auth/enterprise-managed-authorization': {
      const issuer = context.idp_issuer as string;
      return {
        grant: 'enterprise_managed',
        clientId,
        clientSecret: await secret('client-secret', clientSecret, await issuerOrigin()),
        identityProvider: {
          issuer,
          clientId: context.idp_client_id as string,
          subjectToken: await secret('id-token', context.idp_id_token, new URL(issuer).origin),
          subjectTokenType: 'id_token',
        },
      };
    }
    case 'auth/pre-registration':
      return {
        grant: 'authorization_code',
        clientId,
        clientSecret: await secret('client-secret', clientSecret, await issuerOrigin()),
      };
    default:
      return {
        grant: 'authorization_code',
        clientMetadataUrl: 'https://conformance-test.local/client-metadata.json',
        allowRegistration: true,
        allowLegacyDiscovery: scenario.startsWith('auth/2025-03-26'),
      };
  }
}

async function issuerOrigin(): Promise<string> {
  const { origin, pathname } = new URL(url);
  const response = await fetch(`${origin}/.well-known/oauth-protected-resource${pathname}`);
  const { authorization_servers } = (await response.json()) as { authorization_servers: string[] };
  return new URL(authorization_servers[0] as string).origin;
}

function manifests(agent: string, authorization: Partial<UpstreamAuthorization>): ManifestInput[] {
  return [
    { kind: 'Environment', name: environment },
    { kind: 'Person', email: 'owner@example.test', displayName: 'Owner', roles: ['admin'] },
    { kind: 'Blueprint', name: `suite-${suffix}`, templates: [`suite-${suffix}`] },
    {
      kind: 'Agent',
      name: agent,
      owner: 'owner@example.test',
      purpose: 'conformance',
      environment,
      blueprint: `suite-${suffix}`,
    },
    {
      kind: 'ToolServer',
      name: server,
      environments: [environment],
      transport: {
        type: 'http',
        url,
        allowPrivateAddress: true,
        authorization: authorization as UpstreamAuthorization,
      },
      tools: { 'test-tool': { tier: 1, effects: ['read'] } },
    },
    { kind: 'Template', name: `suite-${suffix}`, allow: [{ tools: [`${server}/*`] }] },
  ];
}

/** Does it; each time that a person is needed first, the operator connects the server and it is done again. */
async function connecting(work: () => Promise<unknown>): Promise<void> {
  for (let connects = 0; ; connects++) {
    try {
      await work();
      return;
    } catch (error) {
      if (connects >= 5) throw error;
      const state = await stateOnceDecided();
      if (state !== 'not-connected') throw new Error(`the server is ${state}`, { cause: error });
      await connect();
    }
  }
}

/** The gate asks what a server serves as soon as it is connected: a refusal that one call has met may still be on its way through another. */
async function stateOnceDecided(): Promise<string | undefined> {
  for (let look = 0; ; look++) {
    const { items } = await operator.call('GET /servers');
    const view = items.find(({ name }) => name === server)?.authorization[0];
    if (view?.state === 'not-connected' || look >= 100) return view?.state;
    await setTimeout(100);
  }
}

/** The operator's browser; the suite's authorization servers consent by themselves. */
async function connect(): Promise<void> {
  const begun = await operator.call('POST /servers/:name/connect', { params: { name: server }, body: {} });
  const { url: consentUrl, cookie } = await openConnect({ url: gateUrl }, begun.url);
  const consent = await fetch(consentUrl, { redirect: 'manual' });
  const back = consent.headers.get('location');
  if (back === null) throw new Error(`no way back from ${consentUrl}: HTTP ${consent.status}`);
  const page = await fetch(back, { headers: { cookie } });
  if (!page.ok) throw new Error(`not connected: ${(await page.text()).replaceAll(/<[^>]*>/g, ' ')}`);
}
