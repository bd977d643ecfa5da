import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ExternalAccountClient } from 'google-auth-library';
import { hasPrograms } from '../../../test/support/debian.ts';
import { awsPython } from '../../../test/support/moto.ts';
import { createClients } from '../src/credentials/clients/index.ts';
import { type HelperKind, helperName, helperScript } from '../src/credentials/helpers.ts';
import { type LocalServer, serveClients } from '../src/credentials/local-server.ts';
import type { Broker, Given } from '../src/credentials/types.ts';
import { ended, scratch } from './support.ts';

/** The wire formats, by the clients themselves; what a task may have is for the server to say, and its tests are elsewhere. */
const hasAll = hasPrograms(['curl', 'openssl'], ['curl', 'openssl']);
const hasKubectl = hasPrograms(['kubectl'], ['kubernetes-client']);
const python = await awsPython();

describe('clients that fetch their own credentials, on the wire', { skip: !hasAll && 'curl is missing' }, () => {
  const cleanUp: (() => void)[] = [];
  let directory: string;
  let server: LocalServer;
  const parts: Record<string, Record<string, string>> = {
    aws: { accessKeyId: 'ASIAWIRE', secretAccessKey: "s3cr'et/+=", sessionToken: 'session==' },
    gcp: { accessToken: 'ya29.wire' },
    cluster: { token: 'k8s-token' },
  };
  const asked: string[] = [];
  const broker: Broker = {
    async ask({ provider }): Promise<Given> {
      asked.push(provider);
      if (provider === 'slow')
        return { kind: 'waiting', detail: 'Waiting for approval: "apr_1" https://gate.example/approvals/apr_1' };
      const found = parts[provider];
      if (!found) return { kind: 'refused', status: 403, code: 'credential.scope', detail: 'Ask for "less".' };
      return { kind: 'given', lease: 'lse_1', provider, parts: found, expiresAt: Date.now() + 900_000 };
    },
    held: () =>
      Object.entries(parts).map(([provider, each]) => ({
        ...{ kind: 'given' as const, lease: 'lse_1', provider, parts: each, expiresAt: Date.now() + 900_000 },
      })),
    end: async () => undefined,
    task: async () => 'tsk_1',
  };

  before(async () => {
    directory = scratch({ after: (run) => cleanUp.push(run as () => void) });
    server = await serveClients(createClients(), broker, {
      socket: join(directory, "it's.sock"),
      port: 0,
      note: () => undefined,
    });
    writeFileSync(join(directory, 'token'), server.token);
  });
  after(() => {
    server?.close();
    for (const each of cleanUp) each();
  });

  function install(kind: HelperKind, provider: string, more: { server?: string } = {}): string {
    const path = join(directory, helperName(kind, provider));
    const options = { hosts: [], narrow: false, server: more.server };
    writeFileSync(path, helperScript(kind, { socket: join(directory, "it's.sock"), provider, ...options }));
    chmodSync(path, 0o700);
    return path;
  }
  const run = (command: string, args: string[], env: Record<string, string> = {}) =>
    ended(
      spawn(command, args, {
        cwd: directory,
        env: { PATH: process.env.PATH, HOME: directory, GATEHOUSE_WAIT_SECONDS: '0', ...env },
      }),
    );

  describe('AWS', { skip: !python && 'botocore is missing' }, () => {
    const botocore = (env: Record<string, string>) =>
      run(
        (python as NonNullable<typeof python>).python,
        [
          '-c',
          `import botocore.session
c = botocore.session.Session().get_credentials().get_frozen_credentials()
print(c.access_key, c.secret_key, c.token)`,
        ],
        { AWS_EC2_METADATA_DISABLED: 'true', AWS_CONFIG_FILE: join(directory, 'aws'), ...env },
      );
    const container = (provider: string) => ({
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `${server.url}/aws/${provider}`,
      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: join(directory, 'token'),
    });

    /** @proves clients.aws */
    it('botocore gets them from the container endpoint, and from credential_process', async () => {
      const expected = `ASIAWIRE s3cr'et/+= session==\n`;
      const first = await botocore(container('aws'));
      assert.equal(first.stdout, expected, first.stderr);
      writeFileSync(
        join(directory, 'aws'),
        `[profile gate]\ncredential_process = "${install('aws', 'aws')}"\n[profile slow]\ncredential_process = "${install('aws', 'slow')}"\n`,
      );
      const second = await botocore({ AWS_PROFILE: 'gate' });
      assert.equal(second.stdout, expected, second.stderr);
    });

    /** @proves clients.aws */
    it('and says that a person is asked, in the words that it shows', async () => {
      const first = await botocore(container('slow'));
      assert.notEqual(first.code, 0);
      assert.match(first.stderr, /403.*ApprovalPending.*apr_1/s);
      const second = await botocore({ AWS_PROFILE: 'slow' });
      assert.notEqual(second.code, 0);
      assert.match(second.stderr, /Waiting for approval.*apr_1/s);
    });
  });

  /** @proves clients.gcp */
  it('google-auth-library exchanges what the executable gives for the access token, and hears why not', async () => {
    process.env.GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES = '1';
    process.env.GATEHOUSE_WAIT_SECONDS = '0';
    const clientOf = (provider: string) => {
      const client = ExternalAccountClient.fromJSON({
        type: 'external_account',
        audience: `//gatehouse/${provider}`,
        subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        token_url: `${server.url}/gcp/${provider}/token`,
        credential_source: { executable: { command: install('gcp', provider), timeout_millis: 30_000 } },
      });
      assert.ok(client);
      return client;
    };
    assert.equal((await clientOf('gcp').getAccessToken()).token, 'ya29.wire');
    await assert.rejects(clientOf('slow').getAccessToken(), /apr_1/);
    await assert.rejects(clientOf('nothing').getAccessToken(), /Ask for "less"/);
    // gcloud asks for the name of its account.
    const introspect = async (provider: string, token: string) => {
      const asked = { method: 'POST', body: new URLSearchParams({ token }) };
      return (await fetch(`${server.url}/gcp/${provider}/introspect`, asked)).json();
    };
    const { active, username } = (await introspect('gcp', 'ya29.wire')) as Record<string, unknown>;
    assert.deepEqual([active, username], [true, 'tsk_1']);
    for (const [provider, token] of [
      ['gcp', 'ya29.guessed'],
      ['gcp', ''],
      ['cluster', 'ya29.wire'],
      ['slow', ''],
    ] as const)
      assert.deepEqual(await introspect(provider, token), { active: false });
    const stolen = await fetch(`${server.url}/gcp/gcp/token`, {
      method: 'POST',
      body: new URLSearchParams({ subject_token: 'guessed' }),
    });
    assert.equal(stolen.status, 400);
    assert.equal(((await stolen.json()) as { error: string }).error, 'invalid_grant');
  });

  describe('kubectl', { skip: !hasKubectl && 'kubectl is missing' }, () => {
    let api: ReturnType<typeof createServer>;
    let url: string;
    const seen: (string | undefined)[] = [];
    before(async () => {
      const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')];
      const made = await run('openssl', [
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1'],
        ...['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert],
      ]);
      assert.equal(made.code, 0, made.stderr);
      api = createServer({ key: readFileSync(key), cert: readFileSync(cert) }, (request, response) => {
        seen.push(request.headers.authorization);
        const isIn = request.headers.authorization === 'Bearer k8s-token';
        response.writeHead(isIn ? 200 : 401, { 'content-type': 'application/json' });
        response.end(JSON.stringify(isIn ? { major: '1', minor: '30', gitVersion: 'v1.30.0' } : {}));
      });
      await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve));
      url = `https://127.0.0.1:${(api.address() as AddressInfo).port}`;
    });
    after(() => {
      api?.close();
      api?.closeAllConnections();
    });
    const kubectl = async (helper: string) => {
      const exec = { apiVersion: 'client.authentication.k8s.io/v1beta1', command: helper, provideClusterInfo: true };
      const config = {
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [{ name: 'c', cluster: { server: url, 'certificate-authority': join(directory, 'cert.pem') } }],
        users: [{ name: 'u', user: { exec: { ...exec, interactiveMode: 'Never' } } }],
        contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
        'current-context': 'x',
      };
      writeFileSync(join(directory, 'kubeconfig'), JSON.stringify(config));
      return run('kubectl', ['--kubeconfig', join(directory, 'kubeconfig'), 'get', '--raw', '/version']);
    };

    /** @proves clients.kubectl */
    it('calls its API server with the token, and no other one', async () => {
      const { code, stdout, stderr } = await kubectl(install('kubectl', 'cluster', { server: url }));
      assert.equal(code, 0, stderr);
      assert.match(stdout, /v1\.30\.0/);
      assert.equal(seen.at(-1), 'Bearer k8s-token');
      const before = seen.length;
      const other = await kubectl(install('kubectl', 'cluster', { server: 'https://k8s.example.test' }));
      assert.notEqual(other.code, 0);
      assert.match(other.stderr, /This credential is for https:\/\/k8s\.example\.test/);
      assert.deepEqual(seen.slice(before), []);
      const slow = await kubectl(install('kubectl', 'slow'));
      assert.notEqual(slow.code, 0);
      assert.match(slow.stderr, /Waiting for approval.*apr_1/);
    });
  });

  /** @proves clients.socket */
  it('what is in an answer is data to the shell, and never run', async () => {
    parts.evil = { username: '$(touch pwned)`touch pwned`', password: `"; touch pwned; '\\n%s$HOME` };
    const helper = install('docker', 'evil');
    writeFileSync(helper, readFileSync(helper, 'utf8').replace("query=''", "query='host=r.test'"));
    const get = (input: string) => {
      const child = spawn(helper, ['get'], { cwd: directory, env: { PATH: process.env.PATH } });
      child.stdin.end(input);
      return ended(child);
    };
    assert.equal((await get('$(touch pwned)')).code, 1);
    const { stdout } = await get('r.test');
    assert.equal(JSON.parse(stdout).Secret, parts.evil.password);
    assert.equal(JSON.parse(stdout).Username, parts.evil.username);
    assert.equal(existsSync(join(directory, 'pwned')), false);
  });
});
