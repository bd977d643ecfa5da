import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { manifest } from '@gatehouse/protocol';
import { parse } from 'yaml';
import { evaluationRequest } from '../packages/server/src/gate/authzen/request.ts';
import { envoyConfig } from './support/envoy-config.ts';

/** What docs/how-to/ask-from-another-gateway.md shows is what the tests with a real Envoy and a real gateway use. */
const page = readFileSync(join(import.meta.dirname, '..', 'docs', 'how-to', 'ask-from-another-gateway.md'), 'utf8');
const blocks = [...page.matchAll(/^```(yaml|json)\n(.*?)^```$/gms)].map(([, kind, text = '']) => ({ kind, text }));

test('the guide’s manifest is one', () => {
  const workload = manifest.parse(parse(blocks.find(({ text }) => text.startsWith('kind: Workload'))?.text ?? ''));
  assert.ok(workload.kind === 'Workload');
  assert.deepEqual(workload.gateway?.mcp, { '/mcp': 'shop' });
});

test('the guide’s Envoy filter is the one that is tested', () => {
  const [shown] = parse(blocks.find(({ text }) => text.includes('ext_authz'))?.text ?? '') as object[];
  const files = { cert: '', key: '', ca: '' };
  const config = envoyConfig({ client: 'grpc', listen: 1, behind: 2, gatehouse: 3, files, trustDomain: 'x' });
  const filters = JSON.stringify(config);
  assert.ok(filters.includes(JSON.stringify((shown as { name: string }).name)));
  const { typed_config } = shown as { typed_config: Record<string, unknown> };
  for (const [name, value] of Object.entries(typed_config))
    assert.ok(
      filters.includes(`${JSON.stringify(name)}:${JSON.stringify(value)}`),
      `${name}: ${JSON.stringify(value)}`,
    );
});

test('the guide’s evaluation is one', () => {
  const body: unknown = JSON.parse(blocks.find(({ kind }) => kind === 'json')?.text ?? '');
  assert.equal(evaluationRequest.safeParse(body).success, true);
});
