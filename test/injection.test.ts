import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import type { ManifestInput } from '@gatehouse/protocol';
import { createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import {
  type Authority,
  createAuthority,
  type IssuedCertificate,
} from '../packages/server/src/identity/client-certificate/testing/authority.ts';
import { canary } from './support/canary.ts';
import { manifests } from './support/fixtures.ts';
import { signatureOf } from './support/sigv4.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

/** Each way in which the gate puts a credential into a call: the server has it, and nobody else sees any of it. */
describe('injection at the gate', () => {
  const values = {
    query: canary(),
    argument: canary(),
    aws: { accessKeyId: canary(), secretAccessKey: canary(), sessionToken: canary() },
    file: ['-----BEGIN KEY-----', canary(), canary(), '-----END KEY-----', ''].join('\n'),
  };
  let authority: Authority;
  let certificate: IssuedCertificate;
  let workspace: Workspace;
  const addresses: Record<string, string> = {};
  const closing: (() => void)[] = [];
  /** Of each server, what its last call was. */
  const seen: Record<string, { url: string | undefined; headers: IncomingMessage['headers']; args: unknown }> = {};

  /** A service that speaks MCP, tells nothing to whom it does not know, and says too much to whom it does. */
  function service(name: string, isKnown: (request: IncomingMessage, body: Buffer) => boolean): RequestListener {
    const schema = {
      type: 'object',
      properties: {
        order: { type: 'string' },
        ...(name === 'web' && { api_key: { type: 'string', 'x-mcp-header': 'Key' } }),
      },
      required: ['order', ...(name === 'web' ? ['api_key'] : [])],
    };
    return async (request, response) => {
      const body = Buffer.concat(await request.toArray());
      if (!isKnown(request, body)) return void response.writeHead(401).end();
      const { id, method, params } = JSON.parse(body.toString() || '{}');
      if (method === 'tools/call') seen[name] = { url: request.url, headers: request.headers, args: params.arguments };
      const { url, headers } = request;
      const signature = /Signature=(.*)$/.exec(headers.authorization ?? '')?.[1];
      const said = JSON.stringify({ url, headers: { ...headers, authorization: undefined }, args: params?.arguments });
      const result =
        method === 'server/discover'
          ? { resultType: 'complete', supportedVersions: ['2026-07-28'], capabilities: { tools: {} } }
          : method === 'tools/list'
            ? {
                resultType: 'complete',
                tools: ['find', 'echo'].map((tool) => ({ name: tool, inputSchema: schema })),
              }
            : { resultType: 'complete', content: [{ type: 'text', text: params.name === 'echo' ? signature : said }] };
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ jsonrpc: '2.0', id, result }));
    };
  }
  async function listen(name: string, server: ReturnType<typeof createServer>): Promise<void> {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    addresses[name] = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    closing.push(() => {
      server.close();
      server.closeAllConnections();
    });
  }

  const setting = { tier: 1 as const, effects: ['read' as const] };
  const httpServer = (name: string, url: string, credential: object): ManifestInput =>
    ({
      kind: 'ToolServer',
      name,
      environments: ['production'],
      transport: { type: 'http', url, allowPrivateAddress: true, credential: { provider: name, ...credential } },
      tools: { find: setting, echo: setting },
    }) as ManifestInput;
  const provider = (name: string, parts: object, destination: string): ManifestInput =>
    ({
      kind: 'CredentialProvider',
      name,
      environments: ['production'],
      from: { type: 'static', in: { type: 'store' }, parts, for: [destination] },
    }) as ManifestInput;
  const store = (name: string, value: string, origin: string) =>
    workspace.operator('PUT /secrets/:name', { params: { name }, body: { value, origins: [origin] } });
  const origins = () => ({
    web: `http://${addresses.web}`,
    signed: `http://${addresses.signed}`,
    mtls: `https://localhost:${addresses.mtls?.split(':')[1]}`,
    files: 'stdio://files',
  });
  const servers = () => [
    provider('web', { token: 'web#token', key: 'web#key' }, origins().web),
    httpServer('web', `${origins().web}/mcp?fixed=1`, {
      query: { key: '{token}' },
      arguments: { api_key: '{key}' },
    }),
    provider(
      'signed',
      { accessKeyId: 'aws#accessKeyId', secretAccessKey: 'aws#secretAccessKey', sessionToken: 'aws#sessionToken' },
      origins().signed,
    ),
    httpServer('signed', `${origins().signed}/mcp/a%20b?z=1&a=b%2Fc`, {
      awsSignature: { service: 'bedrock-agentcore', region: 'eu-central-1', sessionToken: '{sessionToken}' },
    }),
    provider('mtls', { certificate: 'mtls-certificate', key: 'mtls-key' }, origins().mtls),
    httpServer('mtls', `${origins().mtls}/mcp`, { clientCertificate: { ca: authority.root } }),
    provider('files', { key: 'service-key' }, origins().files),
    {
      kind: 'ToolServer',
      name: 'files',
      environments: ['production'],
      transport: {
        type: 'stdio',
        command: 'node',
        args: [
          '--disable-warning=ExperimentalWarning',
          join(import.meta.dirname, 'support', 'credential-file-server.ts'),
        ],
        credential: { provider: 'files', files: { SERVICE_KEY_FILE: '{key}' }, arguments: { token: '{key}' } },
      },
      tools: { mode: setting, leak: setting },
    } as ManifestInput,
  ];

  before(async () => {
    authority = await createAuthority('gatehouse.test');
    certificate = await authority.issue({ dns: ['gatehouse.test'] });
    const own = await authority.issue({ dns: ['localhost'] });
    await listen(
      'web',
      createServer(
        service('web', ({ url }) => new URL(url ?? '', 'http://x').searchParams.get('key') === values.query),
      ),
    );
    const isSigned = (request: IncomingMessage, body: Buffer) => {
      const signature = signatureOf(request, body, values.aws.secretAccessKey);
      return (
        signature?.given === signature?.computed &&
        signature?.accessKeyId === values.aws.accessKeyId &&
        /^\d{8}\/eu-central-1\/bedrock-agentcore\/aws4_request$/.test(signature.scope) &&
        request.headers['x-amz-security-token'] === values.aws.sessionToken
      );
    };
    await listen('signed', createServer(service('signed', isSigned)));
    await listen(
      'mtls',
      createTlsServer(
        { cert: own.cert, key: own.key, ca: authority.root, requestCert: true, rejectUnauthorized: true },
        service('mtls', (request) => {
          const { subjectaltname } = (request.socket as TLSSocket).getPeerCertificate();
          return subjectaltname?.includes('gatehouse.test') === true;
        }),
      ) as never,
    );
    workspace = await startWorkspace();
    await store('web', JSON.stringify({ token: values.query, key: values.argument }), origins().web);
    await store('aws', JSON.stringify(values.aws), origins().signed);
    await store('mtls-certificate', certificate.cert, origins().mtls);
    await store('mtls-key', certificate.key, origins().mtls);
    await store('service-key', values.file, origins().files);
    const applied = await workspace.operator('POST /apply', {
      body: {
        manifests: [
          ...manifests().filter((each) => each.kind !== 'Template' || each.name !== 'all'),
          { kind: 'Template', name: 'all', allow: [{ tools: ['web/*', 'signed/*', 'mtls/*', 'files/*'] }] },
          ...servers(),
        ],
        prune: false,
      },
    });
    // Asked with a credential once they are registered: none of them says anything without.
    for (const { server: name } of applied.problems)
      await workspace.operator('POST /servers/:name/refresh', { params: { name } });
  });
  after(async () => {
    await workspace?.close();
    for (const close of closing) close();
  });

  async function begin() {
    const agent = await workspace.agent('agent-a');
    const task = await agent.startTask({ template: 'all', intent: 'look it up' });
    const client = new Client({ name: 't', version: '1' });
    await client.connect(createMcpTransport(task));
    const call = async (name: string, args: Record<string, unknown> = { order: '1042' }) =>
      JSON.stringify(await client.callTool({ name, arguments: args }).catch((error: Error) => error.message));
    return { task, client, call };
  }
  /** What was given to the agent, and all that the house has of it. */
  async function nobodySaw(task: string, answers: string[], ...secrets: string[]): Promise<void> {
    const kept = [
      ...answers,
      JSON.stringify((await workspace.operator('GET /records', { query: { task } })).items),
      JSON.stringify((await workspace.operator('GET /leases', { query: { task } })).items),
      JSON.stringify((await workspace.operator('GET /actions', { query: { task } })).items),
      ...readdirSync(workspace.dataDir, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && !entry.name.startsWith('.gatehouse-credential-'))
        .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1')),
    ].join('\n');
    for (const secret of secrets)
      for (const form of [secret, encodeURIComponent(secret), Buffer.from(secret).toString('base64').slice(4, -4)])
        assert.ok(!kept.includes(form));
  }

  /** @proves injection.query, injection.argument */
  test('a parameter of the address and an argument are filled in by the gate; the agent neither sees nor gives them', async () => {
    const { task, client, call } = await begin();
    const { tools } = await client.listTools();
    const schema = tools.find(({ name }) => name === 'web__find')?.inputSchema;
    assert.deepEqual(Object.keys(schema?.properties ?? {}), ['order']);
    assert.deepEqual(schema?.required, ['order']);
    const answer = await call('web__find');
    assert.match(answer, /key=\[credential\]/);
    assert.match(answer, /api_key\W+\[credential\]/);
    assert.deepEqual(seen.web?.args, { order: '1042', api_key: values.argument });
    assert.equal(seen.web?.headers['mcp-param-key'], values.argument, 'in the header that its schema wants, too');
    assert.equal(seen.web?.url, `/mcp?fixed=1&key=${encodeURIComponent(values.query)}`);
    const own = await call('web__find', { order: '1042', api_key: 'mine' });
    assert.match(own, /filled in by Gatehouse/);
    assert.match(await call('files__leak', { token: 'mine' }), /filled in by Gatehouse/);
    assert.deepEqual(seen.web?.args, { order: '1042', api_key: values.argument }, 'the server heard nothing of it');
    await nobodySaw(task.id, [answer, own], values.query, values.argument);
    await task.end();
  });

  /** @proves injection.signature */
  test('each request is signed for its service, as an independent reading of the specification has it', async () => {
    const { task, call } = await begin();
    const answer = await call('signed__find');
    assert.match(answer, /1042/);
    assert.match(answer, /x-amz-security-token\W+\[credential\]/);
    // The signature of a request lets whoever has it send that request again.
    const echoed = await call('signed__echo');
    assert.match(echoed, /sent back the signature/);
    assert.doesNotMatch(echoed, /[0-9a-f]{64}/);
    await nobodySaw(task.id, [answer, echoed], ...Object.values(values.aws));
    await task.end();
  });

  /** @proves injection.certificate */
  test('the connection shows the certificate of the task’s credential', async () => {
    const { task, call } = await begin();
    const answer = await call('mtls__find');
    assert.match(answer, /1042/);
    await nobodySaw(task.id, [answer], certificate.key.split('\n')[1] as string);
    await task.end();
  });

  /** @proves injection.file */
  test('a program finds its key in a file that it alone can read, gone with it', async () => {
    const { task, call } = await begin();
    const credentialFiles = () =>
      readdirSync(workspace.dataDir, { recursive: true, encoding: 'utf8' }).filter((path) =>
        path.includes('.gatehouse-credential-'),
      );
    const mode = JSON.parse(await call('files__mode', {}));
    const said = JSON.parse(mode.content[0].text);
    assert.equal(said.mode, '600');
    assert.equal(said.length, values.file.length);
    assert.equal(credentialFiles().length, 1);
    const answer = await call('files__leak', {});
    assert.match(answer, /\[credential\]/);
    await nobodySaw(task.id, [answer], ...values.file.split('\n').filter((line) => line.length > 20));
    await task.end();
    for (const giveUpAt = Date.now() + 20_000; credentialFiles().length > 0; ) {
      assert.ok(Date.now() < giveUpAt);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  });

  test('what could not be kept is refused, and says why', async () => {
    const refused = (changed: ManifestInput, why: RegExp) => assert.rejects(workspace.apply([changed]), why);
    const { web, signed, mtls } = origins();
    await refused({ ...provider('web', { token: 'web' }, web), direct: { tier: 3 } } as never, /handed to nobody/);
    await refused(httpServer('web', `${web}/mcp`, {}), /it is in nothing here/);
    await refused(httpServer('web', `${web}/mcp?key=1`, { query: { key: '{token}' } }), /has it already/);
    await refused(httpServer('web', 'https://elsewhere.test/mcp', { query: { key: '{token}' } }), /is for .* only/);
    await refused(
      httpServer('mtls', mtls.replace('https', 'http'), { clientCertificate: {} }),
      /shown to an https: address only/,
    );
    await refused(
      httpServer('signed', signed, {
        headers: { Authorization: '{accessKeyId}' },
        awsSignature: { service: 's3', region: 'x' },
      }),
      /The signature has its own/,
    );
  });

  /** @proves secrets.gate-only */
  test('nobody gets a credential by planning a server of their own, and a secret goes nowhere but where it was stored for', async () => {
    const elsewhere: string[] = [];
    const server = createServer((request, response) => {
      elsewhere.push(request.url ?? '');
      response.writeHead(401).end();
    });
    await listen('elsewhere', server);
    const url = `http://${addresses.elsewhere}`;
    const moved = [
      provider('web', { token: 'web#token', key: 'web#key' }, url),
      httpServer('web', `${url}/mcp`, { query: { key: '{token}' } }),
    ];
    await workspace.operator('POST /plan', { body: { manifests: moved, prune: false } });
    const applied = await workspace.operator('POST /apply', { body: { manifests: moved, prune: false } });
    assert.match(JSON.stringify(applied.problems), /is for http:\/\/127\.0\.0\.1:\d+ and is not sent to/);
    assert.ok(elsewhere.length > 0);
    assert.ok(!elsewhere.some((each) => each.includes('key=')));
  });
});
