import type { Allowed } from './manifests/index.ts';
import type { Effect } from './names.ts';

/** Whether a tool pattern covers `server/tool`, `server#resources` or `server#prompts`. `*` covers tools only. */
export function toolPatternMatches(pattern: string, ref: string): boolean {
  if (pattern === ref) return true;
  if (ref.includes('#')) return false;
  return pattern === '*' || (pattern.endsWith('/*') && ref.startsWith(pattern.slice(0, -1)));
}

/** What of a tool decides whether an entry of an `allow` covers it. */
export interface AllowedTool {
  /** `server/tool`, `server#resources` or `server#prompts`. */
  ref: string;
  /** None: a tool that no operator registered. */
  effects: readonly Effect[];
  domain: string | null;
}

export function isAllowedBy({ tools, effects, domains }: Allowed, tool: AllowedTool): boolean {
  if (tools) return tools.some((pattern) => toolPatternMatches(pattern, tool.ref));
  if (tool.ref.includes('#') || tool.effects.length === 0) return false;
  if (domains && (tool.domain === null || !domains.includes(tool.domain))) return false;
  return tool.effects.every((effect) => effects?.includes(effect));
}
