import { type ClientAuth, ClientSecretPost, None } from 'oauth4webapi';
import type { Secret } from '../../platform/index.ts';
import { wrong } from './metadata.ts';

/** Gatehouse as a client of one authorization server. */
export interface OAuthClient {
  id: string;
  authenticate: ClientAuth;
}

/** A client that registered itself; the secret is the authorization server's answer. */
export interface RegisteredClient {
  id: string;
  secret: Secret | undefined;
  method: string | undefined;
}

/** RFC 6749 §2.3.1: by header unless only the body is taken. Without `methods` the header is what every server takes. */
export function clientWithSecret(secret: Secret, methods: string[] | undefined): ClientAuth {
  if (methods === undefined || methods.includes('client_secret_basic')) {
    return (_as, client, _body, headers) => {
      const pair = `${formEncoded(client.client_id)}:${formEncoded(secret.reveal())}`;
      headers.set('authorization', `Basic ${Buffer.from(pair).toString('base64')}`);
    };
  }
  if (methods.includes('client_secret_post')) return ClientSecretPost(secret.reveal());
  throw wrong('The authorization server takes no client secret; take `clientSecret` out of the manifest.');
}

/** As forms write it (RFC 6749 appendix B), which leaves `-`, `.`, `_` and `*` as they are: some servers do not decode. */
const formEncoded = (text: string) => new URLSearchParams({ '': text }).toString().slice(1);

export function registeredClient({ id, secret, method }: RegisteredClient): OAuthClient {
  if (secret === undefined || method === 'none') return { id, authenticate: None() };
  return { id, authenticate: clientWithSecret(secret, method === undefined ? undefined : [method]) };
}
