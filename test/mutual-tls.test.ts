import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { promisify } from 'node:util';
import { createAgent, createMcpTransport } from '@gatehouse/sdk';
import { Client } from '@modelcontextprotocol/client';
import * as openid from 'openid-client';
import { Agent, fetch as undiciFetch } from 'undici';
import { createCli } from '../packages/cli/test/support.ts';
import { createCsr } from '../packages/server/src/identity/testing/svid-client.ts';
import { clientAssertion } from './support/client-assertion.ts';
import { manifests } from './support/fixtures.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

/** Every door over mutual TLS, with `curl --cert` and with our SDK, against a running server whose certificate is its own. */
let workspace: Workspace;
let base: string;
let directory: string;
let files: { cert: string; key: string; ca: string };
const run = promisify(execFile);

before(async () => {
  workspace = await startWorkspace({ mutualTls: true });
  await workspace.apply(manifests());
  base = workspace.mutualTlsUrl as string;
  directory = mkdtempSync(join(tmpdir(), 'gatehouse-svid-'));
  files = await enrolled('agent-a');
});
after(async () => {
  await workspace.close();
  rmSync(directory, { recursive: true, force: true });
});

const pemOf = (der: string) => new X509Certificate(Buffer.from(der, 'base64')).toString();

function writeOwn(file: string, text: string): string {
  const path = join(directory, file);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

async function currentBundle(file: string): Promise<string> {
  const bundle = (await (await fetch(`${workspace.url}/.well-known/spiffe/bundle`)).json()) as {
    keys: { use: string; x5c?: string[] }[];
  };
  const roots = bundle.keys.filter(({ use }) => use === 'x509-svid').flatMap(({ x5c = [] }) => x5c);
  return writeOwn(file, roots.map(pemOf).join(''));
}

/** An X.509-SVID of the agent, got with its registered key, in the files that curl takes. */
async function enrolled(name: string) {
  const { key } = await workspace.agent(name);
  const assertion = await clientAssertion(name, key, workspace.url);
  const { pem, privateKey } = createCsr();
  const response = await fetch(`${workspace.url}/svid/x509`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ csr: pem, clientAssertion: assertion }),
  });
  const { certificates } = (await response.json()) as { certificates: string[] };
  const write = (file: string, text: string) => writeOwn(`${name}-${file}`, text);
  return {
    cert: write('svid.pem', certificates.map(pemOf).join('')),
    key: write('svid.key', privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()),
    ca: await currentBundle(`${name}-bundle.pem`),
  };
}

async function curl(path: string, ...args: string[]): Promise<{ status: number; body: Record<string, unknown> }> {
  const { stdout } = await run('curl', ['-sS', '-w', '\n%{http_code}', '--cacert', files.ca, ...args, base + path]);
  const at = stdout.lastIndexOf('\n');
  return { status: Number(stdout.slice(at + 1)), body: JSON.parse(stdout.slice(0, at)) as Record<string, unknown> };
}
const withSvid = () => ['--cert', files.cert, '--key', files.key];
const details = JSON.stringify([{ type: 'urn:gatehouse:task', template: 'all', intent: 'over TLS' }]);
const askForToken = (...more: string[]) =>
  curl(
    '/oauth/token',
    ...more,
    ...['grant_type=client_credentials', 'client_id=agent-a', `authorization_details=${details}`].flatMap((each) => [
      '--data-urlencode',
      each,
    ]),
  );
const initialize = {
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } },
};
const call = (token: string, ...more: string[]) =>
  curl(
    '/mcp',
    ...more,
    ...['-H', `authorization: Bearer ${token}`, '-H', 'content-type: application/json'],
    ...['-H', 'accept: application/json, text/event-stream', '--data', JSON.stringify(initialize)],
  );

describe('curl --cert', () => {
  test('gets a token and calls the MCP door with it; without the certificate the token is nothing', async () => {
    const { status, body } = await askForToken(...withSvid());
    assert.equal(status, 200, JSON.stringify(body));
    const token = body.access_token as string;
    assert.equal((await call(token, ...withSvid())).status, 200);
    const stolen = await call(token);
    assert.equal(stolen.status, 401);
    assert.match(JSON.stringify(stolen.body), /token\.certificate-missing/);
    assert.equal((await askForToken()).status, 401);
  });

  test('renews the SVID with the SVID, and the new one is good', async () => {
    const { pem, privateKey } = createCsr();
    const renewed = await curl(
      '/svid/x509',
      ...withSvid(),
      ...['-H', 'content-type: application/json', '--data', JSON.stringify({ csr: pem })],
    );
    assert.equal(renewed.status, 200, JSON.stringify(renewed.body));
    const cert = join(directory, 'renewed.pem');
    const key = join(directory, 'renewed.key');
    writeFileSync(cert, (renewed.body.certificates as string[]).map(pemOf).join(''));
    writeFileSync(key, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), { mode: 0o600 });
    assert.equal((await askForToken('--cert', cert, '--key', key)).status, 200);
  });

  test('reaches the control API, which takes no certificate for an operator', async () => {
    assert.equal((await curl('/api/v1/status', ...withSvid())).status, 200);
    assert.equal((await curl('/api/v1/agents', ...withSvid())).status, 401);
    const operator = readFileSync(join(workspace.dataDir, 'keys', 'operator.token'), 'utf8').trim();
    assert.equal((await curl('/api/v1/agents', '-H', `authorization: Operator ${operator}`)).status, 200);
  });
});

/** @proves law-2.routes */
test('every route of the control API refuses an agent over mutual TLS, whatever certificate and token it has', async () => {
  const { body } = await askForToken(...withSvid());
  const document = (await (await fetch(`${workspace.url}/api/v1/openapi.json`)).json()) as {
    paths: Record<string, Record<string, { security?: unknown[] }>>;
  };
  const svid = { cert: files.cert, key: files.key, ca: files.ca };
  const task = await (await createAgent({ url: workspace.url, agent: 'agent-a', svid })).startTask({
    template: 'all',
    intent: 'probing',
  });
  let refused = 0;
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const method of Object.keys(methods)) {
      const upper = method.toUpperCase();
      if (/^\/(status|signin)/.test(path)) continue;
      const response = await task.fetch(`${base}/api/v1${path.replaceAll(/\{\w+\}/g, 'x')}`, {
        method: upper,
        headers: { origin: workspace.url, 'content-type': 'application/json' },
        ...(upper !== 'GET' && { body: '{}' }),
      });
      assert.ok([401, 403].includes(response.status), `${upper} ${path} gave ${response.status}`);
      await response.body?.cancel();
      refused++;
    }
  }
  assert.ok(refused > 40);
  assert.equal(typeof body.access_token, 'string');
});

/** What a task's token is bound to. */
async function boundTo({ token }: { token(): Promise<string> }): Promise<unknown[]> {
  const [, payload = ''] = (await token()).split('.');
  const { cnf } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { cnf: Record<string, string> };
  assert.deepEqual(Object.keys(cnf), ['x5t#S256']);
  return Object.values(cnf);
}

test('openid-client gets tokens with nothing but the certificate', async () => {
  const { cert, key, ca } = files;
  const [own, anybody] = [{ cert, key, ca }, { ca }].map((given) => {
    const pem = Object.fromEntries(Object.entries(given).map(([name, path]) => [name, readFileSync(path)]));
    return new Agent({ connect: pem });
  }) as [Agent, Agent];
  const configure = async (dispatcher: Agent) => {
    const certified = ((input: string, init: object) =>
      undiciFetch(input, { ...init, dispatcher })) as unknown as openid.CustomFetch;
    const configuration = await openid.discovery(
      new URL(workspace.url),
      'agent-a',
      { use_mtls_endpoint_aliases: true },
      openid.TlsClientAuth(),
      { algorithm: 'oauth2', execute: [openid.allowInsecureRequests], [openid.customFetch]: certified },
    );
    configuration[openid.customFetch] = certified;
    return configuration;
  };
  const parameters = { authorization_details: details, resource: `${workspace.url}/mcp` };
  const granted = await openid.clientCredentialsGrant(await configure(own), parameters);
  assert.equal((await call(granted.access_token, ...withSvid())).status, 200);
  assert.equal((await call(granted.access_token)).status, 401);
  await assert.rejects(openid.clientCredentialsGrant(await configure(anybody), parameters), {
    error: 'invalid_client',
  });
  await own.close();
  await anybody.close();
});

test('gatehouse token --cert prints a token that is good with that certificate', async () => {
  const cli = createCli(directory, { GATEHOUSE_URL: workspace.url, GATEHOUSE_DATA_DIR: workspace.dataDir });
  const common = ['token', '--agent', 'agent-a', '--template', 'all', '--intent', 'by the command line', '--json'];
  const { code, stderr, json } = await cli.run(
    ...[...common, '--cert', files.cert, '--key', files.key, '--cacert', files.ca],
  );
  assert.equal(code, 0, stderr);
  const { token, tokenType, mcpUrl } = json<{ token: string; tokenType: string; mcpUrl: string }>();
  assert.deepEqual([tokenType, mcpUrl], ['Bearer', `${base}/mcp`]);
  assert.equal((await call(token, ...withSvid())).status, 200);
  assert.equal((await call(token)).status, 401);
});

describe('our SDK with an SVID', () => {
  test('acts through the gate with nothing else, and goes on with the next SVID', async () => {
    const svid = { ...(await enrolled('agent-b')) };
    const agent = await createAgent({ url: workspace.url, agent: 'agent-b', svid });
    const task = await agent.startTask({ template: 'all', intent: 'test' });
    const client = new Client({ name: 't', version: '1' });
    await client.connect(createMcpTransport(task));
    assert.ok(!(await client.callTool({ name: 'shop__get_order', arguments: { order: 1042 } })).isError);
    await enrolled('agent-b');
    const again = await agent.startTask({ template: 'all', intent: 'test' });
    const next = new X509Certificate(readFileSync(svid.cert));
    assert.deepEqual(await boundTo(again), [createHash('sha256').update(next.raw).digest('base64url')]);
    assert.notDeepEqual(await boundTo(task), await boundTo(again));
    const other = new Client({ name: 't', version: '1' });
    await other.connect(createMcpTransport(again));
    assert.ok(!(await other.callTool({ name: 'shop__get_order', arguments: { order: 1042 } })).isError);
    await client.close();
    await other.close();
    await again.end();
  });

  test('is stopped by a kill, in the middle of a connection', async () => {
    const svid = await enrolled('agent-b');
    const task = await (await createAgent({ url: workspace.url, agent: 'agent-b', svid })).startTask({
      template: 'all',
      intent: 'test',
    });
    const client = new Client({ name: 't', version: '1' });
    await client.connect(createMcpTransport(task));
    await workspace.operator('POST /agents/:name/kill', { params: { name: 'agent-b' }, body: { reason: 'test' } });
    await assert.rejects(client.callTool({ name: 'shop__get_order', arguments: { order: 1042 } }));
    const agent = await createAgent({ url: workspace.url, agent: 'agent-b', svid });
    await assert.rejects(agent.startTask({ template: 'all', intent: 'again' }), /killed/);
  });
});

/** @proves mtls.kill-ends-connections */
test('a killed agent’s connection ends, and no other agent’s', async () => {
  const { port } = new URL(base);
  const hold = async (name: string) => {
    const own = await enrolled(name);
    const pem = { cert: readFileSync(own.cert), key: readFileSync(own.key), ca: readFileSync(own.ca) };
    const socket = connectTls({ host: '127.0.0.1', port: Number(port), servername: 'localhost', ...pem });
    let answers = '';
    socket.setEncoding('utf8').on('data', (text: string) => {
      answers += text;
    });
    socket.on('error', () => undefined);
    const closed = once(socket, 'close');
    const body = new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: name,
      authorization_details: details,
    }).toString();
    socket.write(
      `POST /oauth/token HTTP/1.1\r\nhost: localhost:${port}\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    while (!answers.includes('access_token')) {
      await once(socket, 'data');
      assert.doesNotMatch(answers, /^HTTP\/1\.1 4/, answers);
    }
    return { socket, closed };
  };
  await workspace.operator('POST /agents/:name/state', { params: { name: 'agent-b' }, body: { state: 'active' } });
  const [killed, other] = [await hold('agent-b'), await hold('agent-a')];
  await workspace.operator('POST /agents/:name/kill', { params: { name: 'agent-b' }, body: { reason: 'test' } });
  await killed.closed;
  assert.equal(other.socket.readyState, 'open');
  other.socket.destroy();
});

describe('the TLS connection', () => {
  const open = (options: object) =>
    new Promise<{ reused: boolean; protocol: string | null; subject: string | undefined; session: Buffer | undefined }>(
      (resolve, reject) => {
        const { hostname, port } = new URL(base);
        const socket = connectTls(
          { host: hostname, port: Number(port), servername: hostname, ca: readFileSync(files.ca), ...options },
          () => {
            const shown = socket.getPeerX509Certificate();
            resolve({
              reused: socket.isSessionReused(),
              protocol: socket.getProtocol(),
              subject: shown?.subjectAltName,
              session: socket.getSession(),
            });
            socket.end();
          },
        );
        socket.on('error', reject);
      },
    );

  test('shows Gatehouse’s own SVID, with the name that clients use', async () => {
    const { subject } = await open({});
    assert.match(subject ?? '', /URI:spiffe:\/\/example\.test\/gatehouse/);
    assert.match(subject ?? '', /DNS:localhost/);
  });

  test('is TLS 1.2 or newer, and no session is taken up again', async () => {
    await assert.rejects(open({ maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT:@SECLEVEL=0' }));
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) {
      const { session, protocol } = await open({ maxVersion });
      assert.equal(protocol, maxVersion);
      assert.equal((await open({ maxVersion, session })).reused, false);
    }
  });

  test('cannot be made another peer’s by renegotiation', async () => {
    const { hostname, port } = new URL(base);
    const failed = await new Promise<boolean>((resolve) => {
      const socket = connectTls(
        { host: hostname, port: Number(port), servername: hostname, ca: readFileSync(files.ca), maxVersion: 'TLSv1.2' },
        () => socket.renegotiate({}, (error) => resolve(error !== null)),
      );
      socket.on('error', () => resolve(true));
    });
    assert.ok(failed);
  });
});

test('a key that is no agent’s makes no connection worth anything', async () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = join(directory, 'other.key');
  writeFileSync(key, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), { mode: 0o600 });
  await assert.rejects(askForToken('--cert', files.cert, '--key', key));
});

/** @proves spiffe.compromise */
test('after a compromise the port has a certificate of the new authorities, without a restart', async () => {
  await workspace.operator('POST /trust-domain/rotate', { body: { compromised: true } });
  const ca = await currentBundle('new-bundle.pem');
  const shown = () =>
    run('curl', ['-sS', '-o', '/dev/null', '-w', '%{http_code}', '--cacert', ca, `${base}/api/v1/status`]);
  let stdout = '';
  // Looked at every ten seconds.
  for (let tries = 0; tries < 60 && stdout === ''; tries++) {
    stdout = await shown().then(
      (answer) => answer.stdout,
      () => '',
    );
    if (stdout === '') await new Promise((resolve) => setTimeout(resolve, 500));
  }
  assert.equal(stdout, '200');
  await assert.rejects(curl('/api/v1/status'), /certificate/, 'the bundle of before verifies it no more');
});
