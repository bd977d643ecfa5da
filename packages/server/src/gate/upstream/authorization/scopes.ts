/** Which scopes are asked for (MCP authorization, "Scope Selection Strategy"). */
export interface ScopeSources {
  /** Had, or asked for, before: what a challenge adds to, so that a step-up never loses anything. */
  had: string[];
  /** `scope` of the challenge. */
  challenged: string[];
  /** `scopes_supported` of the protected resource, undefined where it says nothing. */
  resource: string[] | undefined;
  /** `scopes_supported` of the authorization server. */
  server: string[] | undefined;
  /** All that the manifest lets us ask for. */
  allowed: string[] | undefined;
  /** A refresh token is wanted. */
  offline: boolean;
}

/** Undefined: the parameter is left out, and the authorization server decides. */
export function selectScopes(sources: ScopeSources): string[] | undefined {
  const { had, challenged, resource, server, allowed, offline } = sources;
  const named = [...new Set([...had, ...challenged])];
  const wanted = named.length > 0 ? named : (resource ?? []);
  const selected =
    allowed === undefined ? wanted : wanted.length === 0 ? allowed : wanted.filter((scope) => allowed.includes(scope));
  const more =
    offline && server?.includes('offline_access') && !selected.includes('offline_access') ? ['offline_access'] : [];
  const all = [...selected, ...more];
  return all.length === 0 ? undefined : all;
}

export const isSubset = (some: string[], of: string[]): boolean => some.every((scope) => of.includes(scope));
