import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { SvidBundles } from '@gatehouse/protocol';
import { GatehouseRequestError } from '@gatehouse/sdk/errors';
import type { SvidListener, SvidSource, X509Svid } from '@gatehouse/sdk/svid';
import * as grpc from '@grpc/grpc-js';
import { createWorkloadApi, workloadService } from './workload-api.ts';
import { credentialsOf, listen } from './workload-server.ts';

const bundlesOf = (sequence: number): SvidBundles => ({
  trustDomain: 'example.test',
  bundles: {
    'example.test': { keys: [{ use: 'x509-svid', x5c: [Buffer.from(`root ${sequence}`).toString('base64')] }] },
    'other.test': { keys: [{ use: 'x509-svid', x5c: [Buffer.from('foreign').toString('base64')] }] },
  },
});

type Answer = { svids: { x509_svid: Buffer; bundle: Buffer }[]; federated_bundles: Record<string, Buffer> };

test('a new SVID and a new bundle are pushed as a whole, and a refusal ends the stream with PermissionDenied', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-workload-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const svidOf = (number: number) =>
    ({
      spiffeId: 'spiffe://example.test/a',
      certificates: [Buffer.from(`svid ${number}`).toString('base64')],
      privateKey,
      expiresAt: 0,
      ...bundlesOf(1),
    }) as X509Svid;
  let listener: SvidListener = {};
  let [svid, bundles] = [svidOf(1), bundlesOf(1)];
  const source: SvidSource = {
    x509: async () => svid,
    bundles: async () => bundles,
    jwt: async () => assert.fail(),
    follow(given) {
      listener = given;
      return () => undefined;
    },
    close: () => undefined,
  };
  const api = createWorkloadApi(source);
  t.after(() => api.close());
  const path = join(directory, 's');
  await listen(api.server, path, credentialsOf());
  const Client = grpc.makeGenericClientConstructor(workloadService(), 'SpiffeWorkloadAPI');
  const client = new Client(`unix:${path}`, grpc.credentials.createInsecure()) as unknown as grpc.Client & {
    FetchX509SVID(request: object, metadata: grpc.Metadata): grpc.ClientReadableStream<Answer>;
  };
  t.after(() => client.close());
  const metadata = new grpc.Metadata();
  metadata.set('workload.spiffe.io', 'true');
  const stream = client.FetchX509SVID({}, metadata);
  const next = async () => {
    const [{ svids, federated_bundles: federated }] = (await once(stream, 'data')) as [Answer];
    return [String(svids[0]?.x509_svid), String(svids[0]?.bundle), String(federated['spiffe://other.test'])];
  };
  assert.deepEqual(await next(), ['svid 1', 'root 1', 'foreign']);
  svid = svidOf(2);
  listener.svid?.(svid);
  assert.deepEqual(await next(), ['svid 2', 'root 1', 'foreign']);
  bundles = bundlesOf(2);
  listener.bundles?.(bundles);
  assert.deepEqual(await next(), ['svid 2', 'root 2', 'foreign']);
  listener.refused?.(new GatehouseRequestError(403, 'agent.killed', 'It was killed.'));
  const [error] = await once(stream, 'error');
  assert.equal(error.code, grpc.status.PERMISSION_DENIED);
});

test('streams beyond the limit are refused, and those that end make place', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-streams-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const svid = {
    spiffeId: 'spiffe://example.test/a',
    certificates: [Buffer.from('svid').toString('base64')],
    privateKey,
    expiresAt: 0,
    ...bundlesOf(1),
  } as X509Svid;
  let following = 0;
  const source: SvidSource = {
    x509: async () => svid,
    bundles: async () => bundlesOf(1),
    jwt: async () => assert.fail(),
    follow() {
      following++;
      return () => {
        following--;
      };
    },
    close: () => undefined,
  };
  const api = createWorkloadApi(source);
  t.after(() => api.close());
  const path = join(directory, 's');
  await listen(api.server, path, credentialsOf());
  const Client = grpc.makeGenericClientConstructor(workloadService(), 'SpiffeWorkloadAPI');
  // One connection has as many streams as all may be together: a second one is over the limit.
  const [crowd, late] = Array.from({ length: 2 }, () => {
    const client = new Client(`unix:${path}`, grpc.credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
    }) as unknown as grpc.Client & {
      FetchX509SVID(request: object, metadata: grpc.Metadata): grpc.ClientReadableStream<Answer>;
    };
    t.after(() => client.close());
    return client;
  });
  const metadata = new grpc.Metadata();
  metadata.set('workload.spiffe.io', 'true');
  const open = async (client = crowd) => {
    const stream = client?.FetchX509SVID({}, metadata) as grpc.ClientReadableStream<Answer>;
    const outcome = await Promise.race([once(stream, 'data').then(() => 'open'), once(stream, 'error')]);
    stream.on('error', () => undefined);
    return { stream, outcome };
  };
  const streams = await Promise.all(Array.from({ length: 256 }, () => open()));
  assert.ok(streams.every(({ outcome }) => outcome === 'open'));
  assert.equal(following, 256);
  const { outcome } = await open(late);
  assert.equal((outcome as { code: number }[])[0]?.code, grpc.status.RESOURCE_EXHAUSTED);
  assert.equal(following, 256);
  streams[0]?.stream.cancel();
  while (following === 256) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal((await open(late)).outcome, 'open');
});
