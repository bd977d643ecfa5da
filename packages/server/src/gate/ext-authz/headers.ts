/** Names the action to what stands behind the gateway; whatever an agent sends under this name is replaced. */
export const actionHeader = 'x-gatehouse-action';

/** What HTTP and MCP themselves need. `host` and what belongs to one connection Envoy sets itself. */
const passing = new Set(
  `accept accept-encoding accept-language cache-control connection content-encoding content-length content-type date expect host if-match
  if-modified-since if-none-match if-unmodified-since keep-alive last-event-id te trailer transfer-encoding traceparent tracestate upgrade user-agent
  x-forwarded-proto x-request-id`.split(/\s+/),
);

/**
 * Taken out by name, because over HTTP Gatehouse sees only those headers that Envoy is told to send along: what proves the agent to Gatehouse
 * (law 3, and MCP's rule against passing tokens on), what servers behind proxies take for a proven identity, what makes some of them read another
 * method or path, and what makes Envoy itself send one decided request more than once.
 */
const alwaysRemoved = `authorization dpop cookie proxy-authorization
  forwarded x-forwarded-for x-forwarded-host x-forwarded-client-cert x-real-ip
  true-client-ip x-client-ip cf-connecting-ip x-envoy-external-address x-client-cert ssl-client-cert x-ssl-client-cert
  x-forwarded-user x-forwarded-email x-forwarded-groups x-forwarded-preferred-username x-forwarded-access-token
  remote-user x-remote-user x-remote-group x-remote-groups x-webauth-user x-authenticated-user x-authenticated-userid
  x-user x-user-id x-user-email x-user-name x-user-roles x-username x-email x-roles x-groups x-tenant x-tenant-id x-api-key x-auth-token
  x-auth-request-user x-auth-request-email x-auth-request-groups x-auth-request-preferred-username x-auth-request-access-token
  x-goog-authenticated-user-email x-goog-authenticated-user-id x-goog-iap-jwt-assertion
  x-amzn-oidc-identity x-amzn-oidc-data x-amzn-oidc-accesstoken cf-access-authenticated-user-email cf-access-jwt-assertion
  x-ms-client-principal x-ms-client-principal-id x-ms-client-principal-name x-ms-token-aad-access-token tailscale-user-login tailscale-user-name
  x-http-method-override x-http-method x-method-override x-original-method x-forwarded-method
  x-original-url x-rewrite-url x-forwarded-uri x-forwarded-prefix
  x-envoy-retry-on x-envoy-retry-grpc-on x-envoy-max-retries x-envoy-hedge-on-per-try-timeout x-envoy-upstream-rq-per-try-timeout-ms
  x-envoy-upstream-rq-timeout-ms x-envoy-decorator-operation x-envoy-original-path x-envoy-original-host`.split(/\s+/);

/** Never passed on, whatever the manifest says. */
const ours = new Set(['authorization', 'dpop', actionHeader]);

/**
 * Names of the headers that do not go on with a request that may pass: of those that are seen, every one that neither HTTP nor MCP needs and that
 * the gateway's manifest does not name. Nobody has decided on what they say.
 */
export function removedHeaders(seen: Iterable<string>, allowed: readonly string[]): string[] {
  const passed = new Set(allowed.filter((name) => !ours.has(name)));
  const stays = (name: string) =>
    name.startsWith(':') || name.startsWith('mcp-') || name === actionHeader || passing.has(name);
  return [...new Set([...alwaysRemoved, ...[...seen].filter((name) => !stays(name))])].filter(
    (name) => !passed.has(name),
  );
}
