import { CALLBACK_PATH, FORMER_PATH, nameInPath } from '../../../credentials/index.ts';

/** Followed by the name of the authorization server. */
const CLIENT_METADATA_PATH = '/oauth/client-metadata/';
/** Of clients that were connected before each authorization server had its own: their access is renewed under this name. */
const FORMER_METADATA_PATH = '/oauth/client-metadata.json';
/** Followed by the handle of what was begun. */
export const CONNECT_PATH = '/upstream/connect/';

/** What Gatehouse says of itself as a client (RFC 7591 §2) of the authorization server with this name. The name is shown to whoever consents. */
export function clientMetadata(publicUrl: string, name: string | undefined): Record<string, unknown> {
  return {
    client_name: name === undefined ? 'Gatehouse' : `Gatehouse (${name})`,
    client_uri: publicUrl,
    redirect_uris: [publicUrl + (name === undefined ? FORMER_PATH : CALLBACK_PATH + name)],
    application_type: 'web',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  };
}

/** draft-ietf-oauth-client-id-metadata-document §4: the document names its own address. Undefined where none is at this path. */
export function clientMetadataDocument(publicUrl: string, path: string): Record<string, unknown> | undefined {
  const name = path.startsWith(CLIENT_METADATA_PATH) ? path.slice(CLIENT_METADATA_PATH.length) : undefined;
  const isName = name !== undefined && /^[\w.:/%~-]{1,500}$/.test(name);
  if (!isName && path !== FORMER_METADATA_PATH) return undefined;
  return { client_id: publicUrl + path, ...clientMetadata(publicUrl, name), dpop_bound_access_tokens: false };
}

/** Undefined where nobody could fetch it: the draft wants https. */
export function publishedMetadataUrl(
  publicUrl: string,
  elsewhere: string | undefined,
  issuer: string,
): string | undefined {
  const url = elsewhere ?? publicUrl + CLIENT_METADATA_PATH + nameInPath(issuer);
  return url.startsWith('https://') ? url : undefined;
}
