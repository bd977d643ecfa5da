import { name, TASK_DETAILS_TYPE } from '@gatehouse/protocol';
import type { Snapshot } from '../../registry/index.ts';
import { AGENT_ALGORITHMS } from './jws.ts';
import { isTaskPath } from './task-door.ts';

/**
 * The protected resources: `PUBLIC_URL/mcp`, where every tool is, and `PUBLIC_URL/mcp/SERVER`, one server's plain address. A token
 * for the former opens both; a token for one server's address opens that address only. So the resource an MCP client asks for
 * (RFC 8707) is always the `resource` of the metadata it read (RFC 9728 §3.3) and the token's one audience.
 */
export const MCP_PATH = '/mcp';

/** The resource that a request path belongs to: `/mcp`, `/mcp/SERVER`, or undefined. */
export function resourcePath(path: string): string | undefined {
  const plain = path.endsWith('/') ? path.slice(0, -1) : path;
  if (plain === MCP_PATH) return plain;
  if (!plain.startsWith(`${MCP_PATH}/`)) return undefined;
  return name.safeParse(plain.slice(MCP_PATH.length + 1)).success ? plain : undefined;
}

/**
 * Whether a token of audience `audience` may be used at the absolute URL `url`. What an agent asks of the token's own task is no resource. Only the path of `url` counts: the door has made
 * sure that its host is one of ours, and loopback has several names.
 */
export function audienceCovers(audience: string, url: string, publicUrl: string): boolean {
  if (audience === `${publicUrl}${MCP_PATH}`) return true;
  if (isTaskPath(pathOf(url))) return true;
  const path = resourcePath(pathOf(url));
  return path !== undefined && audience === `${publicUrl}${path}`;
}

const pathOf = (url: string): string => URL.parse(url)?.pathname ?? '';

/**
 * RFC 9728 metadata of the resource at `path` (`/mcp` or `/mcp/SERVER`; the empty path is `/mcp`, for clients that look at the
 * root). Undefined when there is no such resource. The MCP door serves it at `/.well-known/oauth-protected-resource` + path.
 */
export function protectedResourceMetadata(
  publicUrl: string,
  path: string,
  snapshot: Snapshot,
  mutualTlsUrl?: string,
): Record<string, unknown> | undefined {
  const resource = resourcePath(path === '' || path === '/' ? MCP_PATH : path);
  if (!resource) return undefined;
  return {
    resource: `${publicUrl}${resource}`,
    resource_name: 'Gatehouse',
    authorization_servers: [publicUrl],
    bearer_methods_supported: ['header'],
    authorization_details_types_supported: [TASK_DETAILS_TYPE],
    dpop_signing_alg_values_supported: AGENT_ALGORITHMS,
    dpop_bound_access_tokens_required: !hasBearerOnlyAgent(snapshot) && mutualTlsUrl !== publicUrl,
    ...(mutualTlsUrl !== undefined && { tls_client_certificate_bound_access_tokens: true }),
  };
}

/** Where a client that was refused at the absolute URL `url` finds that document. */
export function resourceMetadataUrl(publicUrl: string, url: string): string {
  return `${publicUrl}/.well-known/oauth-protected-resource${resourcePath(pathOf(url)) ?? MCP_PATH}`;
}

const bearerOnly = new WeakMap<Snapshot, boolean>();

/** The document says "required" only while it is true of every agent. Counted once per snapshot: there may be a million agents. */
function hasBearerOnlyAgent(snapshot: Snapshot): boolean {
  let found = bearerOnly.get(snapshot);
  if (found === undefined) {
    found = false;
    for (const agent of snapshot.agents.values()) {
      if (agent.manifest.bearerOnly) {
        found = true;
        break;
      }
    }
    bearerOnly.set(snapshot, found);
  }
  return found;
}
