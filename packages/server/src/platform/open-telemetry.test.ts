import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { openTelemetry } from './open-telemetry.ts';
import { noTracing, openTracing } from './tracing.ts';

const said: [string, string][] = [];
const note = (level: string) => (text: string) => void said.push([level, text]);
const log = { debug: note('debug'), info: note('info'), warn: note('warn'), error: note('error') };
const replica = 'one';
const begin = { kind: 'server', parent: undefined, attributes: {} } as const;

/** @proves trace.spans */
test('traces are made where the environment names a collector, and not where it says that they are not wanted', async () => {
  const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' };
  const off: Record<string, string>[] = [
    {},
    { OTEL_EXPORTER_OTLP_ENDPOINT: '' },
    { ...endpoint, OTEL_SDK_DISABLED: 'true' },
    { ...endpoint, OTEL_TRACES_EXPORTER: 'none' },
  ];
  for (const each of off) assert.equal(await openTracing({ openTelemetry: each, replica }, log), noTracing);
  const on = await openTracing({ openTelemetry: { ...endpoint, OTEL_TRACES_SAMPLER: 'always_off' }, replica }, log);
  assert.equal(on.isOn, true);
  assert.equal((on.begin('x', begin).context?.traceFlags ?? 1) & 1, 0, 'not sampled');
  await on.close();
});

/** @proves trace.spans */
test('what can not be read in the environment is said at the start', () => {
  for (const each of [
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4317' },
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c', OTEL_TRACES_SAMPLER: 'sometimes' },
    { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c', OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '2' },
  ] as Record<string, string>[])
    assert.throws(() => openTelemetry(each, { replica }, log), { code: 'otel.unreadable' });
});

/** @proves trace.spans */
test('a collector that refuses is said once, and holds nobody up', async () => {
  const http = createServer((_, response) => response.writeHead(400).end()).listen(0, '127.0.0.1');
  await once(http, 'listening');
  const { port } = http.address() as AddressInfo;
  said.length = 0;
  const tracing = openTelemetry({ OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` }, { replica }, log);
  for (let i = 0; i < 3_000; i++) tracing.begin('x', begin).end();
  await tracing.close();
  http.close();
  assert.deepEqual(
    said.filter(([, text]) => /collector/.test(text)).map(([level]) => level),
    ['warn'],
  );
});
