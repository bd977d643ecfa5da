import assert from 'node:assert/strict';
import { generateKeyPairSync, randomUUID, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { connect } from 'node:tls';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { Agent, fetch as undiciFetch } from 'undici';
import { stringify } from 'yaml';
import { type Authority, createAuthority } from '../../server/src/identity/client-certificate/testing/authority.ts';
import { createCsr } from '../../server/src/identity/testing/svid-client.ts';
import { createCli, ended, scratch } from './support.ts';

/** `gatehouse start` with certificates, and with a port for them that is not free. */
let authority: Authority;
const cleanups: (() => unknown)[] = [];
before(async () => {
  authority = await createAuthority('front.test');
});
after(() => {
  for (const clean of cleanups) clean();
});

interface Begun {
  publicUrl: string;
  mutualTlsUrl?: string;
  address: { port: number };
}

async function begin(directory: string, ...args: string[]) {
  const given = ['start', '--data-dir', join(directory, 'data'), '--json', ...args];
  const child = createCli(directory).start(given);
  cleanups.push(() => child.kill('SIGKILL'));
  const done = ended(child);
  let [stdout, stderr] = ['', ''];
  child.stderr?.on('data', (text: string) => (stderr += text));
  const ready = new Promise<void>((resolve) => {
    child.stdout?.on('data', (text: string) => {
      stdout += text;
      if (stdout.endsWith('\n')) resolve();
    });
  });
  await Promise.race([ready, done]);
  assert.notEqual(stdout, '', stderr);
  return { child, done, told: JSON.parse(stdout) as Begun, warned: () => stderr };
}

/** Files of a new certificate for localhost. */
async function certify(directory: string) {
  const { cert, key } = await authority.issue({ dns: ['localhost'] });
  const paths = { cert: join(directory, 'tls.crt'), key: join(directory, 'tls.key') };
  writeFileSync(paths.cert, cert);
  writeFileSync(paths.key, key, { mode: 0o600 });
  return { ...paths, serial: new X509Certificate(cert).serialNumber };
}

/** The serial number of what the server shows to a new connection. */
function shownAt(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', ca: authority.root }, () => {
      resolve(socket.getPeerX509Certificate()?.serialNumber ?? '');
      socket.end();
    });
    socket.once('error', reject);
  });
}

/** Takes a port whose next one is free, or the other way round. */
async function occupied(t: TestContext): Promise<number> {
  const other = createServer();
  other.listen(0, '127.0.0.1');
  await once(other, 'listening');
  t.after(() => other.close());
  return (other.address() as { port: number }).port;
}

describe('start with --tls-cert', () => {
  it('reads the files again on SIGHUP, and keeps what it has when they are wrong', async (t) => {
    const directory = scratch(t);
    const first = await certify(directory);
    const { child, done, told } = await begin(
      directory,
      ...['--port', '0', '--no-mtls-port', '--no-workspace', '--tls-cert', first.cert, '--tls-key', first.key],
    );
    const { port } = told.address;
    assert.match(told.publicUrl, /^https:/);
    assert.equal(await shownAt(port), first.serial);

    const second = await certify(directory);
    child.kill('SIGHUP');
    await until(async () => (await shownAt(port)) === second.serial);

    const { cert } = await authority.issue({ dns: ['localhost'] });
    writeFileSync(second.cert, cert);
    const logged = new Promise<void>((resolve) => {
      child.stderr?.on('data', (text: string) => text.includes('could not be read again') && resolve());
    });
    child.kill('SIGHUP');
    await logged;
    assert.equal(await shownAt(port), second.serial);
    child.kill('SIGTERM');
    assert.equal((await done).code, 0);
  });

  it('asks for client certificates there with --tls-client-certificates, and an agent needs nothing but its SVID', async (t) => {
    const directory = scratch(t);
    const pair = await generateKeyPair('ES256', { extractable: true });
    const files = join(directory, 'files');
    mkdirSync(files);
    const objects = [
      { kind: 'Environment', name: 'dev' },
      { kind: 'Person', email: 'owner@example.test', displayName: 'Owner', roles: ['admin'] },
      { kind: 'Template', name: 'try-out' },
      { kind: 'Blueprint', name: 'tester', templates: ['try-out'] },
      {
        kind: 'Agent',
        name: 'agent-tester-dev',
        owner: 'owner@example.test',
        purpose: 'tests',
        environment: 'dev',
        blueprint: 'tester',
        keys: [await exportJWK(pair.publicKey)],
      },
    ];
    writeFileSync(join(files, 'all.yaml'), objects.map((each) => stringify(each)).join('---\n'));
    const { cert, key } = await certify(directory);
    const args = ['--port', '0', '--workspace', files, '--tls-cert', cert, '--tls-key', key];
    const { child, done, told } = await begin(directory, ...args, '--tls-client-certificates');
    assert.equal(told.mutualTlsUrl, undefined);
    const { publicUrl } = told;
    const clientOf = (connectOptions: object) => {
      const dispatcher = new Agent({ connect: { ca: authority.root, ...connectOptions } });
      cleanups.push(() => dispatcher.destroy());
      return async (path: string, init: object = {}) => {
        const response = await undiciFetch(publicUrl + path, { ...init, dispatcher });
        return (await response.json()) as Record<string, unknown>;
      };
    };
    const anybody = clientOf({});
    const metadata = await anybody('/.well-known/oauth-authorization-server');
    assert.equal(metadata.tls_client_certificate_bound_access_tokens, true);
    assert.equal(
      (metadata.mtls_endpoint_aliases as { token_endpoint: string }).token_endpoint,
      `${publicUrl}/oauth/token`,
    );

    const clientAssertion = await new SignJWT({ jti: randomUUID() })
      .setProtectedHeader({ alg: 'ES256' })
      .setIssuer('agent-tester-dev')
      .setSubject('agent-tester-dev')
      .setAudience(publicUrl)
      .setIssuedAt()
      .setExpirationTime('60s')
      .sign(pair.privateKey);
    const { pem, privateKey } = createCsr();
    const given = await anybody('/svid/x509', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ csr: pem, clientAssertion }),
    });
    const chain = (given.certificates as string[]).map((each) => new X509Certificate(Buffer.from(each, 'base64')));
    const form = new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: 'agent-tester-dev',
      authorization_details: JSON.stringify([{ type: 'urn:gatehouse:task', template: 'try-out', intent: 'test' }]),
    }).toString();
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const own = clientOf({
      cert: chain.map(String).join(''),
      key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    });
    const granted = await own('/oauth/token', { method: 'POST', headers, body: form });
    const claims = JSON.parse(Buffer.from(String(granted.access_token).split('.')[1] ?? '', 'base64url').toString());
    assert.deepEqual(Object.keys(claims.cnf), ['x5t#S256']);
    const refused = await anybody('/oauth/token', { method: 'POST', headers, body: form });
    assert.equal(refused.error, 'invalid_client');

    // A certificate that nobody here vouches for ends no handshake: it is as good as none.
    const { privateKey: otherKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    assert.ok(otherKey);
    const stranger = await (await createAuthority('elsewhere.test')).issue({ uris: ['spiffe://elsewhere.test/a'] });
    const strange = await clientOf(stranger)('/oauth/token', { method: 'POST', headers, body: form });
    assert.equal(strange.error, 'invalid_client');
    child.kill('SIGTERM');
    assert.equal((await done).code, 0);
  });
});

describe('the port for mutual TLS', () => {
  it('is done without where something else has the default one, and a start says so', async (t) => {
    const directory = scratch(t);
    const taken = await occupied(t);
    const { child, done, told, warned } = await begin(directory, '--port', String(taken - 1), '--no-workspace');
    assert.equal(told.mutualTlsUrl, undefined);
    assert.match(warned(), new RegExp(`no port for mutual TLS: ${taken} is taken.*--mtls-port`));
    const metadata = (await (await fetch(`${told.publicUrl}/.well-known/oauth-authorization-server`)).json()) as object;
    assert.ok(!('mtls_endpoint_aliases' in metadata));
    child.kill('SIGTERM');
    assert.equal((await done).code, 0);
  });

  it('ends the start where it was named and is taken', async (t) => {
    const directory = scratch(t);
    const taken = String(await occupied(t));
    const args = ['start', '--data-dir', 'data', '--port', '0', '--no-workspace'];
    const byOption = await createCli(directory).run(...args, '--mtls-port', taken);
    assert.equal(byOption.code, 69);
    assert.match(byOption.stderr, new RegExp(`Port ${taken} on 127.0.0.1 is taken.*--mtls-port`));
    const byVariable = await createCli(directory, { GATEHOUSE_MTLS_PORT: taken }).run(...args);
    assert.equal(byVariable.code, 69);
    assert.match(byVariable.stderr, /--mtls-port/);
  });
});

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 50));
}
