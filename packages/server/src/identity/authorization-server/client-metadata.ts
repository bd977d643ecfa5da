import type { Configuration } from 'oidc-provider';
import { isJsonObject, type JsonObject, type Outbound, parseStrictJson } from '../../platform/index.ts';
import { isLoopback } from './clients.ts';
import { authorizationLimits } from './limits.ts';
import { oauthError } from './oauth-error.ts';
import { grantTypes } from './server-metadata.ts';

/**
 * Client ID metadata documents (draft-ietf-oauth-client-id-metadata-document): the client's id is the https address of a document
 * that describes it. The library checks the document; it is fetched by platform/outbound.ts, which follows no redirects and
 * reaches no private address.
 */
export interface ClientMetadataPolicy {
  /** Hosts whose documents are read; null: any host. */
  hosts: readonly string[] | null;
  /** For tests: documents on this machine, and the certificates to trust there. */
  allowPrivateAddress?: boolean;
  ca?: string;
}

const { clientDocumentBytes: DOCUMENT_BYTES, clientIdChars: MAX_ID_CHARS } = authorizationLimits;
const DOCUMENT_CACHE_SECONDS = { min: 60, max: 3_600 };
/** Documents may say what they like: clients that nobody registered get codes for people's consent, and nothing else. */
const ALLOWED_GRANTS: readonly string[] = [
  grantTypes.authorizationCode,
  grantTypes.refreshToken,
  grantTypes.deviceCode,
];

export function clientMetadataFeature({
  hosts,
}: ClientMetadataPolicy): NonNullable<Configuration['features']>['clientIdMetadataDocument'] {
  return {
    enabled: true,
    ack: 'draft-02',
    async allowFetch(_ctx, id) {
      const host = id.length <= MAX_ID_CHARS ? URL.parse(id)?.hostname : undefined;
      if (host !== undefined && (hosts === null || hosts.includes(host))) return true;
      throw oauthError(
        'invalid_client',
        `Clients of ${host ?? 'such an address'} are not let in here. Ask an admin to allow the host, or to register the client.`,
      );
    },
    cacheDuration: DOCUMENT_CACHE_SECONDS,
  };
}

/** The library's `fetch`, for metadata documents and their key sets. */
export function fetchThrough(outbound: Outbound, policy: ClientMetadataPolicy): NonNullable<Configuration['fetch']> {
  return async (input) => {
    const { status, headers, body } = await outbound.fetch(String(input), {
      maxBytes: DOCUMENT_BYTES,
      ...(policy.allowPrivateAddress && { allowPrivateAddress: true }),
      ...(policy.ca !== undefined && { ca: policy.ca }),
    });
    const json = status === 200 ? parseStrictJson(body, 8) : null;
    const given = isJsonObject(json) && json.client_id !== undefined ? asClient(json) : json;
    return new Response(given === null ? null : JSON.stringify(given), {
      status: status >= 200 && status < 600 ? status : 502,
      headers: {
        'content-type': 'application/json',
        ...(headers['cache-control'] && { 'cache-control': headers['cache-control'] }),
      },
    });
  };
}

/** What the library would take differently from what is meant: ports of loopback addresses vary; members unknown to it are left out. */
export function asClient(document: JsonObject): JsonObject {
  const redirects = Array.isArray(document.redirect_uris) ? document.redirect_uris : [];
  const isNative = redirects.some((uri) => {
    const url = typeof uri === 'string' ? URL.parse(uri) : null;
    return url !== null && (isLoopback(url) || url.protocol.includes('.'));
  });
  const asked = Array.isArray(document.grant_types) ? document.grant_types : ALLOWED_GRANTS.slice(0, 2);
  const { scope: _, ...known } = document;
  return {
    ...known,
    application_type: isNative ? 'native' : 'web',
    grant_types: asked.filter((grant) => ALLOWED_GRANTS.includes(String(grant))),
    response_types: ['code'],
    token_endpoint_auth_method: document.token_endpoint_auth_method ?? 'none',
  };
}
