import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runAuthorizationSuite } from '../conformance/authorization-suite.ts';

/** @proves conformance.authorization */
test('the MCP suite finds nothing wrong with the authorization server', async () => {
  const results = await runAuthorizationSuite();
  assert.ok(results.reduce((sum, { passed }) => sum + passed, 0) >= 3, JSON.stringify(results));
  for (const { scenario, failed, warnings } of results) assert.deepEqual([...failed, ...warnings], [], scenario);
});
