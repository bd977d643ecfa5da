export const CLIENT_METADATA_PATH = '/oauth/client-metadata.json';
export const CALLBACK_PATH = '/upstream/callback';
/** Followed by the handle of what was begun. */
export const CONNECT_PATH = '/upstream/connect/';

/** What Gatehouse says of itself as a client (RFC 7591 §2). */
export function clientMetadata(publicUrl: string): Record<string, unknown> {
  return {
    client_name: 'Gatehouse',
    client_uri: publicUrl,
    redirect_uris: [publicUrl + CALLBACK_PATH],
    application_type: 'web',
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  };
}

/** draft-ietf-oauth-client-id-metadata-document §4: the document names its own address. */
export function clientMetadataDocument(publicUrl: string): Record<string, unknown> {
  return { client_id: publicUrl + CLIENT_METADATA_PATH, ...clientMetadata(publicUrl), dpop_bound_access_tokens: false };
}

/** Undefined where nobody could fetch it: the draft wants https. */
export function publishedMetadataUrl(publicUrl: string, elsewhere: string | undefined): string | undefined {
  const url = elsewhere ?? publicUrl + CLIENT_METADATA_PATH;
  return url.startsWith('https://') ? url : undefined;
}
