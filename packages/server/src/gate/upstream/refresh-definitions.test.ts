import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ToolServerManifest } from '@gatehouse/protocol';
import { upstreamLimits } from './limits.ts';
import { lendSeldom, refreshDefinitions } from './refresh-definitions.ts';

/** @proves lease.describe */
test('a server that keeps saying that its tools changed is lent one credential an hour, and what is known of it stays', async () => {
  let now = 1;
  const clock = { now: () => now };
  const counts = { lent: 0, observed: 0 };
  const lend = lendSeldom(async () => {
    counts.lent++;
    return undefined;
  }, clock);
  const manifest = { transport: { credential: { provider: 'orders' } }, tools: { query: {} } };
  const look = (name: string) =>
    refreshDefinitions(
      {
        registry: {
          snapshot: () => ({
            servers: new Map([[name, { manifest: { ...manifest, name } as unknown as ToolServerManifest }]]),
          }),
          observeDefinitions: async () => {
            counts.observed++;
            return [];
          },
        } as never,
        upstreams: { describe: async () => [] },
        lend,
      },
      name,
      'gatehouse',
    );
  for (let at = 0; at < 20; at++) await look('shop');
  assert.deepEqual(counts, { lent: 1, observed: 1 });
  await look('other');
  assert.equal(counts.lent, 2, 'each server for itself');
  now += upstreamLimits.lendToDescribeMs;
  await look('shop');
  assert.equal(counts.lent, 3);
});
