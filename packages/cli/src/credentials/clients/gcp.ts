import { partOf } from '../parts.ts';
import type { LocalAnswer, LocalClient } from '../types.ts';

const JWT = 'urn:ietf:params:oauth:token-type:jwt';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

/**
 * Google's auth libraries with an `external_account` file whose source is an executable: that gives the subject token on the socket, and the library
 * exchanges it (RFC 8693) at `token_url`, which is this process on loopback. The subject token is worth nothing anywhere else.
 */
export const gcp: LocalClient = {
  name: 'gcp',
  loopback: {
    tokenIn: ({ body }) => new URLSearchParams(body).get('subject_token') ?? undefined,
    refused: oauthError(400, 'invalid_grant', 'The subject token is not that of this process.'),
  },
  async answer({ path: [provider = '', what], query, waitMs, token }, broker) {
    const given = await broker.ask({ provider }, what === 'token' ? 0 : waitMs);
    if (what === 'token') {
      if (given.kind === 'waiting') return oauthError(400, 'interaction_required', given.detail);
      if (given.kind === 'refused') return oauthError(400, 'access_denied', given.detail);
      return {
        status: 200,
        body: {
          access_token: partOf(given, 'gcp', 'accessToken', 'token'),
          issued_token_type: ACCESS_TOKEN,
          token_type: 'Bearer',
          expires_in: Math.max(1, Math.floor((given.expiresAt - Date.now()) / 1_000)),
        },
      };
    }
    // The library gives up after its own time: it is told in its own words, and tries again when it is asked to.
    if (given.kind === 'waiting') return refusal('401', given.detail);
    if (given.kind === 'refused') return refusal(String(given.status), given.detail);
    const type = query.get('type') ?? JWT;
    return {
      status: 200,
      body: {
        version: 1,
        success: true,
        token_type: type,
        id_token: token,
        expiration_time: Math.floor(given.expiresAt / 1_000),
      },
    };
  },
  failed: (detail, { path: [, what] }) =>
    what === 'token' ? oauthError(503, 'temporarily_unavailable', detail) : refusal('503', detail),
};

const refusal = (code: string, message: string): LocalAnswer => ({
  status: 200,
  body: { version: 1, success: false, code, message },
});

function oauthError(status: number, error: string, error_description: string): LocalAnswer {
  return { status, body: { error, error_description } };
}
