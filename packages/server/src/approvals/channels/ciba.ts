import type { ChannelManifest } from '@gatehouse/protocol';
import * as oauth from 'oauth4webapi';
import { type Json, sha256Hex } from '../../platform/index.ts';
import { deviceCode } from './device.ts';
import { type Channel, type Looked, NotDeliverable, type Tools } from './types.ts';

const METADATA_TTL_MS = 6 * 3_600_000;

/**
 * OpenID CIBA (poll mode) at the company's provider: the approver confirms on their own device, with a binding message that is a code of the action. It shows
 * nothing of the action: confirming counts, where the manifest and a rule say so, of who has looked at the page before. Declining there is a no.
 */
export function openCiba(manifest: ChannelManifest, tools: Tools): Channel {
  const { issuer, clientId, secret, idClaim, acrValues, maxAuthAgeSeconds } = manifest.ciba as NonNullable<
    ChannelManifest['ciba']
  >;
  const { allowPrivateAddress, ca, people } = manifest;
  const reach = { allowPrivateAddress, ...(ca !== undefined && { ca }) };
  const client: oauth.Client = {
    client_id: clientId,
    id_token_signed_response_alg: manifest.ciba?.signedWith ?? 'RS256',
  };
  let known: { at: number; server: oauth.AuthorizationServer } | undefined;

  const options = {
    [oauth.allowInsecureRequests]: allowPrivateAddress,
    [oauth.customFetch]: async (
      url: string,
      { method, headers, body }: { method?: string; headers?: unknown; body?: unknown } = {},
    ) => {
      const answer = await tools.outbound.fetch(url, {
        ...reach,
        method: method === 'POST' ? 'POST' : 'GET',
        headers: headers as Record<string, string>,
        ...(body !== undefined && body !== null && { body: String(body) }),
      });
      return new Response(answer.body.byteLength === 0 ? null : new Uint8Array(answer.body), answer);
    },
  };

  async function server(): Promise<oauth.AuthorizationServer> {
    const now = tools.clock.now();
    if (known && now - known.at < METADATA_TTL_MS) return known.server;
    const url = new URL(issuer);
    const found = await oauth.processDiscoveryResponse(
      url,
      await oauth.discoveryRequest(url, { algorithm: 'oidc', ...options }),
    );
    known = { at: now, server: found };
    return found;
  }

  const authentication = async (endpoint: string | undefined) =>
    oauth.ClientSecretBasic((await tools.openSecret(secret, endpoint ?? issuer)).reveal());
  /** What the provider knows somebody by. */
  const hintOf = (email: string) => Object.keys(people).find((who) => people[who] === email);

  /** How they have signed in there, where it matters. */
  function weakness({ acr, auth_time }: Record<string, unknown>): string | undefined {
    if (acrValues && !acrValues.includes(String(acr))) return `the provider says acr ${String(acr)}`;
    const youngest = Math.floor(tools.clock.now() / 1_000) - (maxAuthAgeSeconds ?? 0);
    if (maxAuthAgeSeconds !== undefined && !(Number(auth_time) >= youngest)) return 'they signed in there too long ago';
    return undefined;
  }

  return {
    isReminder: true,
    recipients: (_, asked) => asked.filter((email) => hintOf(email) !== undefined),

    async send(message, { recipient }) {
      const as = await server();
      if (message.approval === null || message.digest === null) return null;
      const hint = hintOf(recipient);
      if (hint === undefined) throw new NotDeliverable('the provider knows nobody of this address');
      const parameters = new URLSearchParams({
        scope: 'openid',
        login_hint: hint,
        binding_message: deviceCode(message.approval, message.digest),
        ...(acrValues && { acr_values: acrValues.join(' ') }),
        requested_expiry: String(Math.max(1, Math.floor(((message.expiresAt ?? 0) - tools.clock.now()) / 1_000))),
      });
      const auth = await authentication(as.backchannel_authentication_endpoint);
      const response = await oauth.backchannelAuthenticationRequest(as, client, auth, parameters, options);
      return (await oauth.processBackchannelAuthenticationResponse(as, client, response)).auth_req_id;
    },

    async look({ recipient, reference }, about): Promise<Looked | 'open' | null> {
      const hint = hintOf(recipient);
      if (reference === null || hint === undefined) return null;
      const as = await server();
      const auth = await authentication(as.token_endpoint);
      const response = await oauth.backchannelAuthenticationGrantRequest(as, client, auth, reference, options);
      const said = { message: sha256Hex(reference), who: hint, at: tools.clock.now() };
      try {
        const tokens = await oauth.processBackchannelAuthenticationGrantResponse(as, client, response);
        await oauth.validateApplicationLevelSignature(as, response, options);
        const claims = oauth.getValidatedIdTokenClaims(tokens) as Record<string, unknown> | undefined;
        // INVARIANT: who confirmed is who was asked.
        if (!claims || claims[idClaim] !== hint) throw new Error('the ID token is of somebody else than was asked');
        const code = deviceCode(about.id, about.digest);
        const evidence: Json = { code, idToken: tokens.id_token ?? '', claims: claims as Json };
        const weak = weakness(claims);
        return { ...said, decision: 'approve', reason: '', ...(weak && { weak }), evidence };
      } catch (error) {
        const code = error instanceof oauth.ResponseBodyError ? error.error : undefined;
        // Nobody has answered (CIBA Core §11, RFC 8628 §3.5), though we may have asked too often.
        if (code === 'authorization_pending' || code === 'slow_down') return 'open';
        if (code === 'expired_token' || code === 'invalid_grant') return null;
        if (code !== 'access_denied') throw error;
        return { ...said, decision: 'deny', reason: 'declined at the provider', evidence: { error: code } };
      }
    },
  };
}
