import type { TrustRuleView } from '@gatehouse/protocol';
import type { Registry } from '../../registry/index.ts';
import type { Storage } from '../../storage/index.ts';
import { lintTrustRule } from './lint.ts';

/** Every rule with what is unwise in it and when it was last of use. */
export async function listTrustRules({
  registry,
  storage,
}: {
  registry: Registry;
  storage: Storage;
}): Promise<TrustRuleView[]> {
  const uses = new Map(
    (await storage.db.selectFrom('trust_rule_uses').selectAll().execute()).map((row) => [row.rule, row]),
  );
  return [...registry.snapshot().trustRules.values()]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((manifest) => {
      const use = uses.get(manifest.name);
      return { manifest, findings: lintTrustRule(manifest), lastUsedAt: use?.used_at ?? null, uses: use?.uses ?? 0 };
    });
}
