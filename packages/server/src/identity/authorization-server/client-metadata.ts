import type { Configuration } from 'oidc-provider';
import {
  type Clock,
  GatehouseError,
  isJsonObject,
  type JsonObject,
  type Outbound,
  parseStrictJson,
} from '../../platform/index.ts';
import { createBoundedCache } from '../tokens/bounded-cache.ts';
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

/**
 * The library's `fetch`, for metadata documents and their key sets. Whoever reaches the server names what is fetched: so one address is
 * asked once in ten seconds, whatever it has answered, and few are asked at once.
 */
export function fetchThrough(
  outbound: Outbound,
  policy: ClientMetadataPolicy,
  clock: Clock,
): NonNullable<Configuration['fetch']> {
  const recent = createBoundedCache<{ until: number; answer: Promise<Answer> }>(RECENT_ANSWERS);
  let running = 0;
  const ask = async (url: string): Promise<Answer> => {
    running += 1;
    try {
      return await askOnce(outbound, policy, url);
    } finally {
      running -= 1;
    }
  };
  return async (input) => {
    const url = String(input);
    const now = clock.now();
    let known = recent.get(url);
    if (!known || known.until <= now) {
      // Kept for nobody: whoever makes us busy must not keep a client out for longer than that.
      if (running >= authorizationLimits.clientDocumentsAtOnce)
        throw new GatehouseError(
          'too-many',
          'client-metadata.busy',
          'Too many clients are being looked up. Try again.',
        );
      known = { until: now + authorizationLimits.clientDocumentRestSeconds * 1000, answer: ask(url) };
      recent.set(url, known);
    }
    const { status, body, headers } = await known.answer;
    return new Response(body, { status, headers });
  };
}

interface Answer {
  status: number;
  body: string | null;
  headers: Record<string, string>;
}

/** Half of them, and each is small. */
const RECENT_ANSWERS = 128;

async function askOnce(outbound: Outbound, policy: ClientMetadataPolicy, url: string): Promise<Answer> {
  const { status, headers, body } = await outbound.fetch(url, {
    maxBytes: DOCUMENT_BYTES,
    ...(policy.allowPrivateAddress && { allowPrivateAddress: true }),
    ...(policy.ca !== undefined && { ca: policy.ca }),
  });
  const json = status === 200 ? parseStrictJson(body, 8) : null;
  const given = isJsonObject(json) && json.client_id !== undefined ? asClient(json) : json;
  return {
    status: status >= 200 && status < 600 ? status : 502,
    body: given === null ? null : JSON.stringify(given),
    headers: {
      'content-type': 'application/json',
      ...(headers['cache-control'] && { 'cache-control': headers['cache-control'] }),
    },
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
