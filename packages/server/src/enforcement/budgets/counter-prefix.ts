import type { BudgetManifest } from '@gatehouse/protocol';
import { canonicalJson, sha256Hex } from '../../platform/index.ts';

/** How the counters of a budget begin. Another window, zone or `per` counts anew; another limit goes on counting. */
export function counterPrefix({ name, window, zone, per }: BudgetManifest): string {
  return `${sha256Hex(canonicalJson([name, window ?? null, zone, per])).slice(0, 32)}-`;
}
