import type { EnvironmentManifest } from '@gatehouse/protocol';
import { BASELINE_RULES, baselineRules } from './baseline/index.ts';
import { FLOW_RULES, flowRules } from './flow/index.ts';

/** Policy files that are always there, as they are in force. */
export function builtInPolicies(
  environments: Iterable<Pick<EnvironmentManifest, 'name' | 'flowRulesOff' | 'baseline'>>,
): { name: string; cedar: string }[] {
  const all = [...environments];
  return [
    { name: BASELINE_RULES, cedar: baselineRules(all) },
    { name: FLOW_RULES, cedar: flowRules(all) },
  ];
}
