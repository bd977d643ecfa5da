/** Followed by the name of the authorization server. */
export const CALLBACK_PATH = '/upstream/callback/';

/** The authorization server as it stands in addresses of ours: its issuer, without `https://`. */
export function nameInPath(issuer: string): string {
  const plain = issuer.replace(/^https:\/\//, '').replace(/^http:\/\//, 'http:');
  return new URL(`http://x/${encodeURIComponent(plain).replaceAll('%2F', '/').replaceAll('%3A', ':')}`).pathname.slice(
    1,
  );
}

/**
 * One way back for each authorization server (RFC 9700 §4.4.2): a hostile one that sends a person on to an honest one, which has only its own on its list,
 * never has the honest one's code brought to its token endpoint.
 */
export const callbackOf = (publicUrl: string, issuer: string): string =>
  `${publicUrl}${CALLBACK_PATH}${nameInPath(issuer)}`;
