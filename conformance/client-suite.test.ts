import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type ClientScenario, startClientSuite } from './client-suite.ts';

/** One scenario of each kind; `npm run conformance` runs all. */
const scenarios: ClientScenario[] = [
  { name: 'auth/2025-03-26-oauth-metadata-backcompat', version: '2025-03-26' },
  { name: 'auth/metadata-var3', version: '2025-11-25' },
  { name: 'auth/client-credentials-jwt', version: '2025-11-25' },
  { name: 'auth/scope-step-up', version: '2026-07-28' },
  { name: 'auth/authorization-server-migration', version: '2026-07-28' },
  { name: 'auth/iss-wrong-issuer', version: '2026-07-28' },
  { name: 'auth/enterprise-managed-authorization', version: '2026-07-28' },
  { name: 'auth/dpop-nonce', version: '2026-07-28' },
  { name: 'auth/wif-jwt-bearer', version: '2026-07-28' },
];

let suite: Awaited<ReturnType<typeof startClientSuite>>;
before(async () => {
  suite = await startClientSuite();
});
after(() => suite.close());

for (const { name, version } of scenarios) {
  /** @proves upstream.conformance */
  test(`the gate as a client passes ${name} (${version})`, async () => {
    const { passed, failed, warnings } = await suite.run({ name, version });
    assert.deepEqual([...failed, ...warnings], []);
    assert.ok(passed > 0);
  });
}
