import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, truncateSync, unlinkSync } from 'node:fs';
import { createServer as createPlainServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { gunzipSync } from 'node:zlib';
import { manifest, type SinkManifest } from '@gatehouse/protocol';
import { createElasticsearch } from '../../../../../test/fakes/elasticsearch-bulk.ts';
import { createSplunkHec } from '../../../../../test/fakes/splunk-hec.ts';
import { startMoto } from '../../../../../test/support/moto.ts';
import { pythonTool } from '../../../../../test/support/python.ts';
import { startRsyslog } from '../../../../../test/support/rsyslog.ts';
import { createAuthority } from '../../identity/client-certificate/testing/authority.ts';
import { createOutbound, Secret, systemClock, verifyWebhook } from '../../platform/index.ts';
import { encode } from './formats/index.ts';
import { openDestination } from './sinks/index.ts';
import { SECRET_TEXT, until } from './testing/house.ts';
import { openReceiver } from './testing/receiver.ts';
import { outgoing } from './testing/records.ts';
import { DeliveryFailure, type Encoded, type Tools } from './types.ts';

const outbound = createOutbound();
const dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-sinks-'));
let secretText = SECRET_TEXT;
const asked: [string, string][] = [];
const tools: Tools = {
  outbound,
  clock: systemClock,
  dataDir,
  version: '1.2.3',
  openSecret: async (name, destination) => {
    asked.push([name, destination]);
    return new Secret(secretText);
  },
};
const never = new AbortController().signal;
before(() => {
  secretText = SECRET_TEXT;
});
after(async () => {
  await outbound.close();
  rmSync(dataDir, { recursive: true, force: true });
});

const sinkOf = (format: SinkManifest['format'], to: object, more: object = {}): SinkManifest =>
  manifest.parse({
    kind: 'Sink',
    name: 'tried',
    format,
    to,
    allowPrivateAddress: true,
    timeoutMs: 2_000,
    ...more,
  }) as SinkManifest;

const batchOf = (format: SinkManifest['format'], ...intents: string[]): Encoded[] =>
  intents.map((intent, at) => encode(format, outgoing({ intent }, at), { version: '1.2.3' }));

async function deliverTo(sink: SinkManifest, batch: readonly Encoded[]) {
  const destination = openDestination(sink, tools);
  try {
    return await destination.send(batch, never);
  } finally {
    await destination.close();
  }
}

/** @proves export.real-receivers */
test('rsyslog takes syslog over TLS with a client certificate: every record a message of its own, whatever is in it', async (context) => {
  const authority = await createAuthority('syslog.test');
  const [server, client] = [
    await authority.issue({ dns: ['localhost'] }),
    await authority.issue({ dns: ['gatehouse'] }),
  ];
  const rsyslog = await startRsyslog({ ca: authority.root, ...server });
  if (!rsyslog) return context.skip('there is no rsyslog on this machine');
  context.after(() => rsyslog.close());
  const url = `tls://localhost:${rsyslog.port}`;
  secretText = client.key;
  const intents = ['refund', 'a\nb\r\n<14>1 - - - - - - forged', 'é😀 "]\\', 'x'.repeat(20_000)];
  const more = { ca: authority.root, timeoutMs: 10_000 };
  const to = { type: 'syslog', url, clientCertificate: { certificate: client.cert, keySecret: 'syslog-key' } };
  /** rsyslog sometimes ends a connection out of order after it has read everything: then it gets the same again, as any receiver does. */
  const deliverUntilTaken = async (format: 'json-lines' | 'cef') => {
    for (let turn = 1; ; turn++)
      try {
        return await deliverTo(sinkOf(format, to, more), batchOf(format, ...intents));
      } catch (error) {
        if (turn === 5 || (error as { kind?: string }).kind !== 'retry') throw error;
      }
  };
  for (const format of ['json-lines', 'cef'] as const) {
    const before = rsyslog.lines().length;
    await deliverUntilTaken(format);
    const seen = (): string[] => [...new Set(rsyslog.lines().slice(before))];
    await until(() => seen().length >= intents.length);
    const lines = seen();
    assert.equal(lines.length, intents.length, rsyslog.words());
    lines.forEach((line, at) => {
      assert.match(
        line,
        /^13 [0-7] gate\.example\.test gatehouse replica-a record \[origin software="gatehouse" swVersion="1\.2\.3"\]/,
      );
      assert.ok(line.includes(`[meta sequenceId="${at + 1}"]`));
      if (format === 'json-lines') {
        const { record } = JSON.parse(line.slice(line.indexOf('] ', line.indexOf('[meta')) + 2)) as {
          record: { intent: string };
        };
        assert.equal(record.intent, intents[at]);
      }
    });
  }
  assert.ok(
    asked.some(([name, destination]) => name === 'syslog-key' && destination === `https://localhost:${rsyslog.port}`),
  );
  // Without its own authority it is not connected to.
  await assert.rejects(deliverTo(sinkOf('cef', to), batchOf('cef', 'x')), /certificate/);
});

test('syslog: a receiver that closes before it has read all, never closes, or is not there, has not taken the batch', async (context) => {
  const authority = await createAuthority('syslog.test');
  const { cert, key } = await authority.issue({ dns: ['localhost'] });
  const behave = { how: (socket: import('node:net').Socket): void => void socket.destroy() };
  const listen = async (server: import('node:net').Server) => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    context.after(() => server.close());
    return (server.address() as { port: number }).port;
  };
  const onConnection = (socket: import('node:net').Socket) => {
    socket.on('error', () => {});
    behave.how(socket);
  };
  const plain = await listen(createPlainServer({ allowHalfOpen: true }, onConnection));
  const tls = await listen(createTlsServer({ cert, key }, onConnection));
  const sinks = [
    sinkOf('cef', { type: 'syslog', url: `tcp://127.0.0.1:${plain}` }, { timeoutMs: 300 }),
    sinkOf('cef', { type: 'syslog', url: `tls://localhost:${tls}` }, { timeoutMs: 1_500, ca: authority.root }),
  ];
  const large = Array.from({ length: 200 }, (_, at) =>
    encode('cef', outgoing({ detail: 'x'.repeat(900) }, at), { version: '1' }),
  );
  for (const sink of sinks) {
    behave.how = (socket) => void setTimeout(() => socket.destroy(), 50);
    await assert.rejects(deliverTo(sink, large), DeliveryFailure);
    behave.how = (socket) => void socket.pause();
    await assert.rejects(deliverTo(sink, large), DeliveryFailure);
    let bytes = 0;
    behave.how = (socket) => {
      socket.on('data', (chunk) => {
        bytes += chunk.length;
      });
      socket.on('end', () => socket.end());
    };
    await deliverTo(sink, large);
    assert.ok(bytes > 200 * 900);
  }
  await assert.rejects(deliverTo(sinkOf('cef', { type: 'syslog', url: 'tcp://127.0.0.1:1' }), large), /ECONNREFUSED/);
  const elsewhere = sinkOf('cef', { type: 'syslog', url: `tcp://127.0.0.1:${plain}` }, { allowPrivateAddress: false });
  await assert.rejects(deliverTo(elsewhere, large), /private address/);
  await assert.rejects(
    deliverTo(sinkOf('cef', { type: 'syslog', url: 'tls://169.254.169.254:6514' }), large),
    /nothing may be called/,
  );
});

test('splunk: events have their id as a field; with acknowledgement they count when an indexer has them', async (context) => {
  const receiver = await openReceiver();
  context.after(() => receiver.close());
  secretText = 'splunk-token-canary';
  const plain = createSplunkHec({ token: secretText });
  receiver.behave = (request, answer) => plain.handle(request, answer);
  const to = { type: 'splunk-hec', url: receiver.url, secret: 'splunk', index: 'main', sourcetype: 'gatehouse:ocsf' };
  await deliverTo(sinkOf('ocsf', to), batchOf('ocsf', 'a', 'b'));
  assert.equal(plain.indexed.length, 2);
  const [first] = plain.indexed;
  assert.ok(first);
  assert.equal(first.fields.gatehouse_id, 'gate.example.test/log/replica-a/0');
  assert.equal(first.index, 'main');
  assert.equal((first.event as { class_uid: number }).class_uid, 6003);
  await deliverTo(sinkOf('cef', to), batchOf('cef', 'a'));
  assert.match(plain.indexed.at(-1)?.event as string, /^CEF:0/);

  const slow = createSplunkHec({ token: secretText, acknowledges: true });
  receiver.behave = (request, answer) => slow.handle(request, answer);
  await deliverTo(sinkOf('ocsf', { ...to, acknowledge: true }), batchOf('ocsf', 'a', 'b'));
  assert.equal(slow.indexed.length, 2);
  receiver.behave = (request, answer) => plain.handle(request, answer);
  await assert.rejects(deliverTo(sinkOf('ocsf', { ...to, acknowledge: true }), batchOf('ocsf', 'a')), /no ackId/);
  // What it says is told, without the token, should it repeat it.
  receiver.behave = (_, answer) => answer.writeHead(403).end(`bad token ${secretText}\nnext line`);
  await assert.rejects(deliverTo(sinkOf('ocsf', to), batchOf('ocsf', 'a')), (error: Error) => {
    assert.match(error.message, /answered 403: bad token \[secret\] next line/);
    return true;
  });
});

test('elastic: what is there already is no failure, one document that is refused is named, a busy cluster is asked again', async (context) => {
  const receiver = await openReceiver();
  context.after(() => receiver.close());
  secretText = 'elastic-key';
  const elastic = createElasticsearch({
    apiKey: secretText,
    refuses: (document) => (JSON.stringify(document).includes('poison') ? 'failed to parse field [x]' : undefined),
  });
  receiver.behave = (request, answer) => elastic.handle(request, answer);
  const sink = sinkOf('ecs', { type: 'elastic', url: receiver.url, secret: 'elastic' });
  const batch = batchOf('ecs', 'a', 'poison', 'c');
  const { refused } = await deliverTo(sink, batch);
  assert.deepEqual([...refused], [[1, '400: document_parsing_exception: failed to parse field [x]']]);
  assert.deepEqual(
    [...elastic.documents.keys()],
    ['gate.example.test/log/replica-a/0', 'gate.example.test/log/replica-a/2'],
  );
  elastic.busy = 1;
  await assert.rejects(
    deliverTo(sink, batch),
    (error: DeliveryFailure) => error.kind === 'retry' && /429/.test(error.message),
  );
  assert.equal((await deliverTo(sink, batch)).refused.size, 1);
  assert.equal(elastic.documents.size, 2);
  // A format without `@timestamp` of its own has it all the same.
  assert.equal((await deliverTo(sinkOf('ocsf', sink.to), batchOf('ocsf', 'a'))).refused.size, 0);
  receiver.behave = (_, answer) => answer.writeHead(200).end('<html>a proxy</html>');
  await assert.rejects(deliverTo(sink, batch), /not the one of _bulk/);
});

test('webhook: signed as Standard Webhooks say, with an id that the same batch has again', async (context) => {
  const receiver = await openReceiver();
  context.after(() => receiver.close());
  secretText = SECRET_TEXT;
  const sink = sinkOf('cloud-events', { type: 'webhook', url: receiver.url, secret: 'hook' });
  for (let times = 0; times < 2; times++) await deliverTo(sink, batchOf('cloud-events', 'a', 'b'));
  const [first, second] = receiver.taken;
  assert.ok(first && second);
  assert.equal(first.headers['content-type'], 'application/cloudevents-batch+json');
  assert.equal((JSON.parse(first.body.toString()) as unknown[]).length, 2);
  const { id } = verifyWebhook(new Secret(SECRET_TEXT), first.headers as never, first.body.toString(), Date.now());
  assert.equal(second.headers['webhook-id'], id);
  assert.throws(() => verifyWebhook(new Secret(SECRET_TEXT), first.headers as never, `${first.body} `, Date.now()));
  receiver.behave = (_, answer) => answer.writeHead(429, { 'retry-after': '7' }).end();
  await assert.rejects(
    deliverTo(sink, batchOf('cloud-events', 'a')),
    (error: DeliveryFailure) => error.retryAfterMs === 7_000,
  );
  receiver.behave = (_, answer) => answer.writeHead(302, { location: 'http://169.254.169.254/' }).end();
  await assert.rejects(deliverTo(sink, batchOf('cloud-events', 'a')), /answered 302/);
});

/** @proves export.schemas */
test('OTLP: what is sent, and each line of a file, is LogsData for the official protocol buffers', async (context) => {
  const receiver = await openReceiver();
  context.after(() => receiver.close());
  secretText = 'otlp-token';
  const batch = batchOf('otlp', 'a', 'é\n"x"');
  const sink = sinkOf('otlp', {
    type: 'otlp-http',
    url: `${receiver.url}/v1/logs`,
    secret: 'otlp',
    header: 'X-Api-Key',
  });
  await deliverTo(sink, batch);
  const [taken] = receiver.taken;
  assert.ok(taken);
  assert.equal(taken.headers['x-api-key'], 'otlp-token');
  const [
    {
      scopeLogs: [{ logRecords }],
    },
  ] = JSON.parse(taken.body.toString()).resourceLogs;
  assert.deepEqual(
    logRecords,
    batch.map(({ json }) => json),
  );
  receiver.behave = (_, answer) =>
    answer.writeHead(200).end(JSON.stringify({ partialSuccess: { rejectedLogRecords: '1', errorMessage: 'too old' } }));
  await assert.rejects(
    deliverTo(sink, batch),
    (error: DeliveryFailure) => error.kind === 'refused' && /too old/.test(error.message),
  );

  const tool = await pythonTool('opentelemetry-proto', '1.45.2');
  if (!tool) return context.skip('opentelemetry-proto can not be installed here');
  const read = `import sys
from google.protobuf import json_format
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
for line in sys.stdin:
    data = json_format.Parse(line, LogsData())
    for resource in data.resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                names = {each.key: each.value for each in record.attributes}
                print(record.time_unix_nano, record.severity_number, names['log.record.uid'].string_value, names['gatehouse.sequence'].int_value)
`;
  const lines = [taken.body.toString(), ...batch.map(({ text }) => text)].join('\n');
  const { stdout, stderr } = spawnSync(tool.python, ['-c', read], { input: lines, encoding: 'utf8' });
  const expected = [0, 1, 0, 1].map((at) => `1795809600123000000 9 gate.example.test/log/replica-a/${at} ${at}`);
  assert.deepEqual(stdout.trim().split('\n'), expected, stderr);
});

/** @proves export.real-receivers */
test('S3: an object holds the lines of a batch, compressed, and the same batch is the same object', async (context) => {
  const moto = await startMoto();
  if (!moto) return context.skip('moto can not be installed here');
  context.after(() => moto.close());
  secretText = 'AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
  const base = `${moto.url}/security-lake`;
  const sink = sinkOf(
    'json-lines',
    { type: 's3', url: moto.url, bucket: 'security-lake', prefix: 'gate/house/', secret: 'lake' },
    { timeoutMs: 10_000 },
  );
  await assert.rejects(
    deliverTo(sink, batchOf('json-lines', 'a')),
    (error: DeliveryFailure) => error.kind === 'retry' && /404/.test(error.message),
  );
  assert.ok((await fetch(base, { method: 'PUT' })).ok);
  const batch = batchOf('json-lines', 'a', 'b');
  for (let times = 0; times < 2; times++) await deliverTo(sink, batch);
  const listed = await (await fetch(`${base}?list-type=2`)).text();
  const keys = [...listed.matchAll(/<Key>([^<]+)<\/Key>/g)].map(([, key = '']) => key);
  assert.equal(keys.length, 1);
  assert.match(
    keys[0] ?? '',
    /^gate\/house\/2026\/11\/27\/gate\.example\.test-log-replica-a-[0-9a-f]{8}\/000000000000-000000000001\.jsonl\.gz$/,
  );
  // moto does not check signatures; it only wants one.
  const authorization =
    'AWS4-HMAC-SHA256 Credential=A/20261127/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0';
  const object = await fetch(`${base}/${keys[0]}`, { headers: { authorization } });
  const body = Buffer.from(await object.arrayBuffer());
  assert.equal(gunzipSync(body).toString(), `${batch.map(({ text }) => text).join('\n')}\n`);
  secretText = 'no colon';
  await assert.rejects(deliverTo(sink, batch), /is not ACCESS-KEY-ID/);
});

/** @proves export.apart */
test('file: a pipe that nobody reads in its place is refused, and takes no thread', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-export-'));
  mkdirSync(join(dataDir, 'export'));
  execFileSync('mkfifo', [join(dataDir, 'export', 'records.jsonl')]);
  const destination = openDestination(sinkOf('json-lines', { type: 'file', file: 'records.jsonl' }), {
    ...tools,
    dataDir,
  });
  for (let turn = 0; turn < 8; turn++)
    await assert.rejects(destination.send(batchOf('json-lines', 'a'), AbortSignal.timeout(5_000)), /no regular file/);
  await destination.close();
  rmSync(dataDir, { recursive: true });
});

test('file: what was moved away, deleted or torn is noticed; it is rotated, and nobody leads it elsewhere with a link', async (context) => {
  const sink = sinkOf('json-lines', { type: 'file', file: 'records.jsonl', rotateBytes: 64 * 1024, keep: 2 });
  const path = join(dataDir, 'export', 'records.jsonl');
  const destination = openDestination(sink, tools);
  context.after(() => destination.close());
  const linesOf = (of: string) => readFileSync(of, 'utf8').split('\n').filter(Boolean).length;
  await destination.send(batchOf('json-lines', 'a', 'b'), never);
  assert.equal(linesOf(path), 2);
  unlinkSync(path);
  await destination.send(batchOf('json-lines', 'c'), never);
  assert.equal(linesOf(path), 1);
  renameSync(path, `${path}.moved`);
  await destination.send(batchOf('json-lines', 'd'), never);
  assert.equal(linesOf(path), 1);
  await destination.close();
  // As a crash in the middle of a line leaves it.
  truncateSync(path, 20);
  await destination.send(batchOf('json-lines', 'e'), never);
  const lines = readFileSync(path, 'utf8').split('\n').filter(Boolean);
  assert.equal(lines.length, 2);
  assert.equal((JSON.parse(lines[1] ?? '') as { record: { intent: string } }).record.intent, 'e');
  for (let times = 0; times < 12; times++) await destination.send(batchOf('json-lines', 'x'.repeat(15_000)), never);
  assert.ok(linesOf(`${path}.1`) > 0 && linesOf(`${path}.2`) > 0);
  assert.throws(() => readFileSync(`${path}.3`), /ENOENT/);
  await destination.close();
  const { symlinkSync } = await import('node:fs');
  rmSync(path);
  symlinkSync(join(dataDir, 'elsewhere'), path);
  await assert.rejects(destination.send(batchOf('json-lines', 'f'), never), /ELOOP/);
});
