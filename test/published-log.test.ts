import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, test } from 'node:test';
import { fetchSource, verifyPublished } from '@gatehouse/verifier';
import { directorySource } from '@gatehouse/verifier/node';
import { createCli } from '../packages/cli/test/support.ts';
import { openLedger, openPublishingPlace } from '../packages/server/src/ledger/index.ts';
import { createLog, createObjectStorage, systemClock } from '../packages/server/src/platform/index.ts';
import { createSealer, openStorage } from '../packages/server/src/storage/index.ts';
import { manifests } from './support/fixtures.ts';
import { startMoto } from './support/moto.ts';
import { startWorkspace, type Workspace } from './support/workspace.ts';

const scratch = mkdtempSync(join(tmpdir(), 'gatehouse-published-'));
after(() => rmSync(scratch, { recursive: true, force: true }));

async function until(what: () => Promise<boolean> | boolean): Promise<void> {
  for (let turn = 0; turn < 1_200; turn++) {
    if (await what()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('it did not come to pass');
}

/** A ledger alone, which is published, and can be grown fast. */
const key = randomBytes(32);
async function openPublished(dataDir: string, place: string, environment: Record<string, string> = {}) {
  const log = createLog('error', () => undefined);
  const storage = await openStorage({ database: 'sqlite', dataDir, log, clock: systemClock });
  const ledger = await openLedger({
    ...{ storage, sealer: createSealer(key), clock: systemClock, log, replica: 'one', origin: 'gatehouse.test' },
    publishTo: openPublishingPlace(place, environment),
  });
  const close = () => ledger.close().finally(() => storage.close());
  const grow = (count: number) =>
    storage.transaction(async (transaction) => {
      for (let at = 0; at < count; at++)
        await ledger.recordChange(transaction, { operation: 'agent.kill', by: 'operator', changes: [`${at}`] });
    });
  const published = (size: number) => until(() => ledger.publishing()?.size === size);
  const vkey = (await ledger.logs())[0]?.vkey ?? '';
  return { ledger, grow, close, published, vkey };
}

/** @proves law-7.published */
test('a directory gets all of it, goes on after a restart, drops partial tiles, and is never written over by another past', async () => {
  const [dataDir, place] = [join(scratch, 'data'), join(scratch, 'place')];
  const first = await openPublished(dataDir, place);
  await first.grow(250);
  await first.published(251);
  const own = join(place, 'one');
  assert.ok(existsSync(join(own, 'tile/entries/000.p/251')));
  await first.grow(400);
  await first.published(651);
  await first.close();
  const { vkey } = first;
  const verify = () => verifyPublished({ source: directorySource(own), vkey });
  assert.ok((await verify()).ok);
  assert.equal(existsSync(join(own, 'tile/entries/000.p')), false, 'partial tiles go when the full one is there');
  assert.deepEqual(
    readdirSync(join(own, 'tile/entries')).filter((name) => name.includes('tmp')),
    [],
  );

  const second = await openPublished(dataDir, place);
  await second.published(652);
  await second.close();
  const report = await verify();
  assert.ok(report.ok && report.size === 652);

  // The same name and key, and another past: the data directory was put back to nothing.
  const before = readFileSync(join(own, 'checkpoint'), 'utf8');
  const other = await openPublished(join(scratch, 'other'), place);
  await other.grow(5);
  await until(() => other.ledger.publishing()?.problem !== null);
  assert.match(other.ledger.publishing()?.problem ?? '', /does not continue.*Nothing is written over it/);
  await other.close();
  assert.equal(readFileSync(join(own, 'checkpoint'), 'utf8'), before);
});

/** @proves law-7.published */
test('a bucket gets all of it, also after it was away', async (t) => {
  const moto = await startMoto();
  if (!moto) return t.skip('moto is missing: see above');
  t.after(() => moto.close());
  const environment = { AWS_ACCESS_KEY_ID: 'A', AWS_SECRET_ACCESS_KEY: 'B' };
  const place = `s3://audit-log/gate?region=us-east-1&endpoint=${encodeURIComponent(moto.url)}`;
  const { grow, close, published, vkey, ledger } = await openPublished(join(scratch, 's3'), place, environment);
  t.after(close);
  await grow(300);
  await until(() => /NoSuchBucket|404/.test(ledger.publishing()?.problem ?? ''));
  await fetch(`${moto.url}/audit-log`, { method: 'PUT' });
  await published(301);
  const objects = createObjectStorage({ bucket: 'audit-log', region: 'us-east-1', endpoint: moto.url, environment });
  t.after(() => objects.close());
  const report = await verifyPublished({ source: (path) => objects.get(`gate/one/${path}`), vkey });
  assert.ok(report.ok && report.size === 301);
  const listed = await objects.list('gate/one/tile/0/');
  assert.deepEqual(listed.sort(), ['gate/one/tile/0/000', 'gate/one/tile/0/001.p/45']);
});

describe('a log that a server serves and publishes', () => {
  let workspace: Workspace;
  let served: Server;
  let cli: ReturnType<typeof createCli>;
  let vkey = '';
  const place = join(scratch, 'served');

  before(async () => {
    workspace = await startWorkspace({ publishLogTo: place });
    await workspace.apply(manifests());
    await until(async () => {
      const { items, publishing } = await workspace.operator('GET /logs');
      vkey = items[0]?.vkey ?? '';
      return publishing?.size === items[0]?.size;
    });
    served = createServer((request, response) => {
      const file = join(place, request.url ?? '');
      if (existsSync(file)) response.end(readFileSync(file));
      else response.writeHead(404).end();
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => served.once('listening', resolve));
    cli = createCli(scratch, { GATEHOUSE_URL: workspace.url, GATEHOUSE_DATA_DIR: workspace.dataDir });
    writeFileSync(join(scratch, 'log.vkey'), `${vkey}\n`);
  });
  after(async () => {
    served.close();
    await workspace.close();
  });
  const address = () => `http://127.0.0.1:${(served.address() as AddressInfo).port}/one`;

  /** @proves law-7.who-reads */
  it('is for nobody who may not read records, under the paths and types of the specification', async () => {
    const prefix = `${workspace.url}/log/one`;
    assert.equal((await fetch(`${prefix}/checkpoint`)).status, 401);
    const agent = await workspace.agent('agent-a');
    const token = await (await agent.startTask({ template: 'all', intent: 'test' })).token();
    const asAgent = await fetch(`${prefix}/checkpoint`, { headers: { authorization: `Bearer ${token}` } });
    assert.ok([401, 403].includes(asAgent.status));
    const { cookie } = await workspace.person('owner@example.test');
    const get = (path: string) => fetch(`${prefix}/${path}`, { headers: { cookie } });
    const head = await get('checkpoint');
    assert.equal(head.headers.get('content-type'), 'text/plain; charset=utf-8');
    assert.equal(head.headers.get('cache-control'), 'no-cache');
    const tile = await get('tile/0/000.p/2');
    assert.deepEqual([tile.status, (await tile.arrayBuffer()).byteLength], [200, 64]);
    assert.equal(tile.headers.get('cache-control'), 'private, max-age=31536000, immutable');
    for (const path of [
      'tile/0/001',
      'tile/0/000.p/256',
      'tile/64/000',
      'tile/0/0',
      'tile/entries/x000/000',
      'checkpoint/',
    ])
      assert.equal((await get(path)).status, 404, path);
    assert.ok(
      (await verifyPublished({ vkey, source: fetchSource(prefix, (url) => fetch(url, { headers: { cookie } })) })).ok,
    );
  });

  /** @proves law-7.verify-places */
  it('is verified by the command line from the server, a directory and an address, whole, in part, and against kept checkpoints', async () => {
    const whole = await cli.run('log', 'verify', '--json');
    assert.equal(whole.code, 0, whole.stderr);
    const [log] = whole.json<{ logs: { size: number; verified: number }[] }>().logs;
    assert.ok(log && log.size > 3 && log.verified === log.size);
    for (const from of [place, join(place, 'one'), address()]) {
      const { code, stdout, stderr } = await cli.run('log', 'verify', from, '--key', 'log.vkey');
      assert.equal(code, 0, stderr);
      assert.match(stdout, /^Intact/);
    }
    const part = await cli.run('log', 'verify', address(), '--key', vkey, '--from', '2', '--to', '4', '--json');
    assert.equal(part.json<{ logs: { verified: number }[] }>().logs[0]?.verified, 2, part.stderr);
    assert.equal((await cli.run('log', 'verify', place)).code, 64, 'what is published vouches for nothing itself');
    assert.equal((await cli.run('log', 'verify', join(scratch, 'nowhere'), '--key', vkey)).code, 66);

    const keep = await cli.run('log', 'checkpoint', '-o', 'kept', '--json');
    const { items } = keep.json<{ items: { file: string }[] }>();
    const file = items[0]?.file ?? '';
    assert.equal((await cli.run('log', 'verify', '--checkpoint', file)).code, 0);
    writeFileSync(
      join(scratch, 'gone'),
      readFileSync(join(scratch, file), 'utf8').replace('/log/one\n', '/log/gone\n'),
    );
    const gone = await cli.run('log', 'verify', '--checkpoint', 'gone', '--json');
    assert.equal(gone.code, 1);
    assert.match(gone.stdout, /log-missing/);
    const list = await cli.run('log', 'list');
    assert.match(list.stdout + list.stderr, /Key .*\n.*published: \d+ records/s);

    const unwitnessed = await cli.run('log', 'verify', '--policy', 'policy');
    assert.equal(unwitnessed.code, 66);
    const widths = readdirSync(join(place, 'one/tile/entries/000.p')).map(Number);
    const bundle = String(Math.max(...widths));
    const path = join(place, 'one/tile/entries/000.p', bundle);
    const bytes = readFileSync(path, 'latin1');
    writeFileSync(path, bytes.replace('log.open', 'log.shut'), 'latin1');
    const broken = await cli.run('log', 'verify', place, '--key', vkey, '--json');
    assert.equal(broken.code, 1);
    const [found] = broken.json<{ logs: { fault: { kind: string; from: number } }[] }>().logs;
    assert.deepEqual([found?.fault.kind, found?.fault.from], ['edited', 0]);
  });
});
