import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { trustRuleManifest, workloadManifest } from '@gatehouse/protocol';
import { parseAllDocuments } from 'yaml';
import { checkTrustRules } from './index.ts';

/** @proves federation.manifests */
test('the manifests of the guide are taken as they stand, all of them together', () => {
  const page = join(import.meta.dirname, '../../../../../docs/how-to/let-agents-in-without-secrets.md');
  const blocks = [...readFileSync(page, 'utf8').matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text]) => text ?? '');
  const all = blocks.flatMap((text) => parseAllDocuments(text).map((document) => document.toJS() as { kind: string }));
  const rules = all.filter(({ kind }) => kind === 'TrustRule').map((each) => trustRuleManifest.parse(each));
  assert.equal(rules.length, 8);
  for (const each of all) if (each.kind === 'Workload') workloadManifest.parse(each);
  assert.deepEqual(
    checkTrustRules({ rules, hasAgent: () => true, hasWorkload: () => true, hasTrustDomain: () => true }),
    [],
  );
});
