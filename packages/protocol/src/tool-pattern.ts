/** Whether a tool pattern covers `server/tool`, `server#resources` or `server#prompts`. `*` covers tools only. */
export function toolPatternMatches(pattern: string, ref: string): boolean {
  if (pattern === ref) return true;
  if (ref.includes('#')) return false;
  return pattern === '*' || (pattern.endsWith('/*') && ref.startsWith(pattern.slice(0, -1)));
}
