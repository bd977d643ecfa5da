import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createPrivateKey, randomUUID, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import type { TrustDomainView } from '@gatehouse/protocol';
import * as grpc from '@grpc/grpc-js';
import { decodeJwt, exportJWK, generateKeyPair, SignJWT } from 'jose';
import { pythonTool } from '../../../test/support/python.ts';
import { workloadService } from '../src/spiffe/workload-api.ts';
import { startTown } from './support.ts';

const cleanups: (() => unknown)[] = [];
let town: Awaited<ReturnType<typeof startTown>>;
let socket: string;
let client: WorkloadClient;

interface Svid {
  spiffe_id: string;
  x509_svid: Buffer;
  x509_svid_key: Buffer;
  bundle: Buffer;
}
type Answer = { svids: Svid[]; bundles: Record<string, Buffer>; federated_bundles: Record<string, Buffer> };
type WorkloadClient = grpc.Client & {
  FetchX509SVID(request: object, metadata: grpc.Metadata): grpc.ClientReadableStream<Answer>;
  FetchX509Bundles(request: object, metadata: grpc.Metadata): grpc.ClientReadableStream<Answer>;
  FetchJWTBundles(request: object, metadata: grpc.Metadata): grpc.ClientReadableStream<Answer>;
  FetchJWTSVID(
    request: object,
    metadata: grpc.Metadata,
    done: grpc.requestCallback<{ svids: { svid: string; spiffe_id: string }[] }>,
  ): void;
  ValidateJWTSVID(
    request: object,
    metadata: grpc.Metadata,
    done: grpc.requestCallback<{ spiffe_id: string; claims: unknown }>,
  ): void;
};

const header = () => {
  const metadata = new grpc.Metadata();
  metadata.set('workload.spiffe.io', 'true');
  return metadata;
};
const first = async (stream: grpc.ClientReadableStream<Answer>): Promise<Answer> => {
  const [answer] = (await once(stream, 'data')) as [Answer];
  stream.on('error', () => undefined).cancel();
  return answer;
};
const serve = async (path: string, ...more: string[]) => {
  const child = town.start(['spiffe', 'serve', '--agent', town.agentName, '--socket', path, '--json', ...more]);
  cleanups.push(() => child.kill('SIGKILL'));
  let stderr = '';
  child.stderr?.on('data', (text) => {
    stderr += text;
  });
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).once('line', resolve);
    child.once('exit', () => reject(new Error(stderr)));
  });
  return { child, ...(JSON.parse(line) as { endpoint: string }) };
};

before(async () => {
  town = await startTown(
    { after: (cleanup: () => unknown) => void cleanups.push(cleanup) } as never,
    'http://127.0.0.1:1/',
  );
  assert.equal((await town.run('agent', 'enroll', town.agentName)).code, 0);
  socket = join(town.directory, 'own', 'api.sock');
  assert.equal((await serve(socket)).endpoint, `unix://${socket}`);
  const Client = grpc.makeGenericClientConstructor(workloadService(), 'SpiffeWorkloadAPI');
  client = new Client(`unix:${socket}`, grpc.credentials.createInsecure()) as unknown as WorkloadClient;
});
after(async () => {
  client?.close();
  for (const cleanup of cleanups.reverse()) await cleanup();
});

describe('the SPIFFE Workload API', () => {
  const id = 'spiffe://example.test/env/dev/agent/agent-tester-dev';

  /** @proves spiffe.workload-api */
  test('gives the SVID with its key and bundle, and the bundles', async () => {
    const { svids } = await first(client.FetchX509SVID({}, header()));
    const [svid] = svids;
    assert.ok(svid);
    assert.equal(svid.spiffe_id, id);
    const leaf = new X509Certificate(svid.x509_svid);
    assert.equal(leaf.subjectAltName, `URI:${id}`);
    assert.ok(leaf.checkPrivateKey(createPrivateKey({ key: svid.x509_svid_key, format: 'der', type: 'pkcs8' })));
    const intermediate = new X509Certificate(svid.x509_svid.subarray(leaf.raw.length));
    assert.ok(leaf.verify(intermediate.publicKey));
    assert.ok(intermediate.verify(new X509Certificate(svid.bundle).publicKey));
    const bundles = await first(client.FetchX509Bundles({}, header()));
    assert.deepEqual(bundles.bundles['spiffe://example.test'], svid.bundle);
    const jwt = await first(client.FetchJWTBundles({}, header()));
    assert.match(String(jwt.bundles['spiffe://example.test']), /"kid"/);
    assert.doesNotMatch(String(jwt.bundles['spiffe://example.test']), /"d"|x5c/);
  });

  test('without its metadata header it is InvalidArgument, on every method', async () => {
    const empty = new grpc.Metadata();
    for (const name of ['FetchX509SVID', 'FetchX509Bundles', 'FetchJWTBundles'] as const) {
      const [error] = await once(client[name]({}, empty), 'error');
      assert.equal(error.code, grpc.status.INVALID_ARGUMENT, name);
    }
    for (const name of ['FetchJWTSVID', 'ValidateJWTSVID'] as const)
      await new Promise<void>((resolve) =>
        client[name]({ audience: name === 'FetchJWTSVID' ? ['a'] : 'a', svid: 'x' }, empty, (error) => {
          assert.equal(error?.code, grpc.status.INVALID_ARGUMENT, name);
          resolve();
        }),
      );
  });

  const fetchJwt = (request: object) =>
    new Promise<{ svid: string; spiffe_id: string }>((resolve, reject) => {
      client.FetchJWTSVID(request, header(), (error, answer) =>
        error ? reject(error) : resolve(answer?.svids[0] as { svid: string; spiffe_id: string }),
      );
    });
  const validate = (audience: string, svid: string) =>
    new Promise<{ spiffe_id: string }>((resolve, reject) => {
      client.ValidateJWTSVID({ audience, svid }, header(), (error, answer) =>
        error ? reject(error) : resolve(answer as { spiffe_id: string }),
      );
    });

  test('gives JWT-SVIDs and validates them; an audience is needed, and another name is not given', async () => {
    const { svid, spiffe_id } = await fetchJwt({ audience: ['db.example'] });
    assert.equal(spiffe_id, id);
    assert.deepEqual(decodeJwt(svid).aud, ['db.example']);
    assert.equal((await validate('db.example', svid)).spiffe_id, id);
    await assert.rejects(validate('other.example', svid), { code: grpc.status.INVALID_ARGUMENT });
    await assert.rejects(validate('db.example', `${svid.slice(0, -4)}AAAA`), { code: grpc.status.INVALID_ARGUMENT });
    await assert.rejects(fetchJwt({ audience: [] }), { code: grpc.status.INVALID_ARGUMENT });
    await assert.rejects(fetchJwt({ audience: ['a'], spiffe_id: `${id}x` }), { code: grpc.status.PERMISSION_DENIED });
  });

  test('the socket is the user’s alone; a directory that others can enter, a file and a live socket are refused, a stale one is replaced', async () => {
    assert.equal(statSync(socket).mode & 0o777, 0o600);
    assert.equal(statSync(join(socket, '..')).mode & 0o777, 0o700);
    const open = join(town.directory, 'open');
    mkdirSync(open);
    chmodSync(open, 0o755);
    const args = (path: string) => ['spiffe', 'serve', '--agent', town.agentName, '--socket', path];
    const { stderr } = await town.run(...args(join(open, 's')));
    assert.match(stderr, /Others can enter .*yours alone/);
    // The directory may be /tmp: nobody is told to shut others out of that.
    assert.doesNotMatch(stderr, /chmod/);
    assert.match((await town.run(...args(socket))).stderr, /Another process serves/);
    const file = join(socket, '..', 'file');
    writeFileSync(file, 'mine');
    assert.match((await town.run(...args(file))).stderr, /is no socket/);
    const stale = join(socket, '..', 'stale.sock');
    const { child } = await serve(stale);
    child.kill('SIGKILL');
    await once(child, 'exit');
    assert.ok(statSync(stale).isSocket());
    await serve(stale);
  });

  test('spiffe fetch writes files that mutual TLS takes, for this user alone, and replaces them', async () => {
    const directory = join(town.directory, 'svid');
    const fetched = async () =>
      (await town.run('spiffe', 'fetch', '--agent', town.agentName, '--directory', directory, '--json')).json<
        Record<'spiffeId' | 'expiresAt' | 'cert' | 'key' | 'bundle', string>
      >();
    const { spiffeId, expiresAt, cert, key, bundle } = await fetched();
    assert.equal(spiffeId, id);
    assert.ok(Date.parse(expiresAt) - Date.now() <= 3_600_000);
    for (const file of [cert, key, bundle]) assert.equal(statSync(file).mode & 0o777, 0o600, file);
    const leaf = new X509Certificate(readFileSync(cert));
    assert.match(leaf.subjectAltName ?? '', new RegExp(id));
    assert.ok(leaf.checkPrivateKey(createPrivateKey(readFileSync(key))));
    const chain = readFileSync(cert, 'utf8').split(/(?<=-----END CERTIFICATE-----\n)/);
    const last = new X509Certificate(chain.at(-1) ?? '');
    assert.ok(last.verify(new X509Certificate(readFileSync(bundle)).publicKey));
    const before = readFileSync(key, 'utf8');
    // What waits in its place is not written through.
    const elsewhere = join(town.directory, 'elsewhere');
    writeFileSync(elsewhere, 'mine');
    rmSync(key);
    symlinkSync(elsewhere, key);
    await fetched();
    assert.equal(readFileSync(elsewhere, 'utf8'), 'mine');
    assert.notEqual(readFileSync(key, 'utf8'), before);
    const nowhere = await town.run('spiffe', 'fetch', '--agent', town.agentName, '--directory', join(key, 'x'));
    assert.deepEqual([nowhere.code, /cannot be written/.test(nowhere.stderr)], [66, true]);
  });

  test('py-spiffe gets and verifies everything, unchanged', async (t) => {
    const python = await pythonTool('spiffe', '0.2.6');
    if (!python) return t.skip('Python is missing: see above');
    const script = `
import json
from spiffe import WorkloadApiClient
with WorkloadApiClient('unix://${socket}') as c:
    s = c.fetch_x509_svid()
    j = c.fetch_jwt_svid(audience={'db.example'})
    v = c.validate_jwt_svid(j.token, 'db.example')
    b = c.fetch_x509_bundles()
    k = c.fetch_jwt_bundles()
    print(json.dumps([str(s.spiffe_id), len(s.cert_chain), str(j.spiffe_id), str(v.spiffe_id), len(b.bundles), len(k.bundles)]))
`;
    const { stdout } = await promisify(execFile)(python.python, ['-c', script]);
    assert.deepEqual(JSON.parse(stdout), [id, 2, id, id, 1, 1]);
  });

  test('a killed agent gets nothing more: PermissionDenied', async () => {
    await town.workspace.operator('POST /agents/:name/kill', { params: { name: town.agentName }, body: {} });
    await assert.rejects(fetchJwt({ audience: ['a'] }), { code: grpc.status.PERMISSION_DENIED });
  });
});

/** @proves workload.svids */
test('spiffe serve --identity serves the workload that a rule names, until it is suspended', async () => {
  const issuer = 'https://issuer.example';
  const keys = await generateKeyPair('ES256', { extractable: true });
  await town.workspace.apply([
    {
      kind: 'Workload',
      name: 'tickets',
      owner: 'owner@example.test',
      purpose: 'tickets',
      environment: 'dev',
      starts: [town.agentName],
    },
    {
      kind: 'TrustRule',
      name: 'tickets',
      issuer: { type: 'oidc', url: issuer, jwks: { keys: [{ ...(await exportJWK(keys.publicKey)), kid: 'k' }] } },
      claims: { sub: 'tickets' },
      workload: 'tickets',
      reuse: 'same-key',
    },
  ]);
  const file = join(town.directory, 'token');
  writeFileSync(file, 'no token at all');
  const broken = town.start([
    'spiffe',
    'serve',
    '--socket',
    join(town.directory, 'own', 'b.sock'),
    '--identity',
    `file:${file}`,
  ]);
  cleanups.push(() => broken.kill('SIGKILL'));
  const [complaint] = await once(createInterface({ input: broken.stderr as NodeJS.ReadableStream }), 'line');
  assert.match(String(complaint), /trying again: There is no JWT in the file/);
  broken.kill('SIGTERM');
  const token = new SignJWT({ sub: 'tickets' }).setProtectedHeader({ alg: 'ES256', kid: 'k' });
  token.setIssuer(issuer).setAudience(town.workspace.url).setIssuedAt().setExpirationTime('10m').setJti(randomUUID());
  writeFileSync(file, await token.sign(keys.privateKey), { mode: 0o600 });

  const path = join(town.directory, 'own', 'workload.sock');
  const args = ['spiffe', 'serve', '--socket', path, '--identity', `file:${file}`];
  const { stderr } = await town.run(...args, '--agent', town.agentName);
  assert.match(stderr, /leave out --agent/);
  const child = town.start([...args, '--json']);
  cleanups.push(() => child.kill('SIGKILL'));
  await once(createInterface({ input: child.stdout as NodeJS.ReadableStream }), 'line');
  const Client = grpc.makeGenericClientConstructor(workloadService(), 'SpiffeWorkloadAPI');
  const own = new Client(`unix:${path}`, grpc.credentials.createInsecure()) as unknown as WorkloadClient;
  cleanups.push(() => own.close());
  const id = 'spiffe://example.test/env/dev/workload/tickets';
  const { svids } = await first(own.FetchX509SVID({}, header()));
  assert.equal(svids[0]?.spiffe_id, id);
  const jwt = () =>
    new Promise<string | undefined>((resolve, reject) => {
      own.FetchJWTSVID({ audience: ['db.example'] }, header(), (error, answer) =>
        error ? reject(error) : resolve(answer?.svids[0]?.spiffe_id),
      );
    });
  assert.equal(await jwt(), id);
  await town.workspace.operator('POST /workloads/:name/state', {
    params: { name: 'tickets' },
    body: { state: 'suspended' },
  });
  await assert.rejects(jwt(), { code: grpc.status.PERMISSION_DENIED });
});

test('the trust domain is shown, rotated and given a signing request, each also as JSON', async () => {
  const shown = (await town.run('trust-domain', '--json')).json<TrustDomainView>();
  assert.equal(shown.name, 'example.test');
  assert.deepEqual(
    shown.authorities.map(({ kind, state }) => [kind, state]),
    [
      ['root', 'signing'],
      ['intermediate', 'signing'],
    ],
  );
  assert.match((await town.run('trust-domain')).stdout, /intermediate +signing/);
  const { id } = (await town.run('trust-domain', 'rotate', '--json')).json<{ id: string }>();
  const after = (await town.run('trust-domain', '--json')).json<TrustDomainView>();
  assert.equal(after.authorities.find((each) => each.id === id)?.state, 'next');
  assert.match((await town.run('trust-domain', 'request-intermediate')).stdout, /BEGIN CERTIFICATE REQUEST/);
  const failed = await town.run('trust-domain', 'import-intermediate', join(town.directory, 'none.pem'));
  assert.deepEqual([failed.code, /cannot be read/.test(failed.stderr)], [66, true]);
});

test('a listener at a path that is no socket of ours is not removed', async () => {
  const path = join(town.directory, 'own', 'foreign.sock');
  const server = createServer().listen(path);
  await once(server, 'listening');
  const { stderr } = await town.run('spiffe', 'serve', '--agent', town.agentName, '--socket', path);
  assert.match(stderr, /Another process serves/);
  server.close();
});
