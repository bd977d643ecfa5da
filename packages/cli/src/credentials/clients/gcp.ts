import { partOf } from '../parts.ts';
import { isSame } from '../same-text.ts';
import type { Broker, LocalAnswer, LocalClient } from '../types.ts';

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
    // Whoever has an access token may hear what it is for.
    open: ({ path: [, what] }) => what === 'introspect',
  },
  async answer({ path: [provider = '', what], query, body, waitMs, token }, broker) {
    if (what === 'introspect') return introspected(provider, new URLSearchParams(body).get('token') ?? '', broker);
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

/** RFC 7662, which `gcloud` asks for the name of its account: the task is that. Of a token that was not given here nothing is said. */
async function introspected(provider: string, token: string, broker: Broker): Promise<LocalAnswer> {
  const held = broker
    .held()
    .filter((each) => each.provider === provider)
    .find(({ parts }) => isSame(parts.accessToken ?? parts.token, token));
  if (!held) return { status: 200, body: { active: false } };
  return {
    status: 200,
    body: { active: true, username: await broker.task(), exp: Math.floor(held.expiresAt / 1_000) },
  };
}

const refusal = (code: string, message: string): LocalAnswer => ({
  status: 200,
  body: { version: 1, success: false, code, message },
});

function oauthError(status: number, error: string, error_description: string): LocalAnswer {
  return { status, body: { error, error_description } };
}
