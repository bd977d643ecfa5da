import type { ChannelManifest } from '@gatehouse/protocol';
import * as oauth from 'oauth4webapi';
import type { Json } from '../../platform/index.ts';
import { type Channel, type Looked, NotDeliverable, type Tools } from './types.ts';

const METADATA_TTL_MS = 6 * 3_600_000;
const CODE_CHARS = 8;

/**
 * OpenID CIBA (poll mode) at the company's provider: the approver confirms on their own device, with a binding message that ends as the approval's id does. It
 * reminds them: their device shows nothing of the action, so that confirming there is no yes. Declining there is a no.
 */
export function openCiba(manifest: ChannelManifest, tools: Tools): Channel {
  const { issuer, clientId, secret, idClaim } = manifest.ciba as NonNullable<ChannelManifest['ciba']>;
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

  return {
    isReminder: true,
    recipients: (_, asked) => asked.filter((email) => hintOf(email) !== undefined),

    async send(message, { recipient }) {
      const as = await server();
      if (message.approval === null) return null;
      const hint = hintOf(recipient);
      if (hint === undefined) throw new NotDeliverable('the provider knows nobody of this address');
      const parameters = new URLSearchParams({
        scope: 'openid',
        login_hint: hint,
        binding_message: `GH-${message.approval.slice(-CODE_CHARS)}`,
        requested_expiry: String(Math.max(1, Math.floor(((message.expiresAt ?? 0) - tools.clock.now()) / 1_000))),
      });
      const auth = await authentication(as.backchannel_authentication_endpoint);
      const response = await oauth.backchannelAuthenticationRequest(as, client, auth, parameters, options);
      return (await oauth.processBackchannelAuthenticationResponse(as, client, response)).auth_req_id;
    },

    async look({ recipient, reference }): Promise<Looked | null> {
      const hint = hintOf(recipient);
      if (reference === null || hint === undefined) return null;
      const as = await server();
      const auth = await authentication(as.token_endpoint);
      const response = await oauth.backchannelAuthenticationGrantRequest(as, client, auth, reference, options);
      try {
        const tokens = await oauth.processBackchannelAuthenticationGrantResponse(as, client, response);
        await oauth.validateApplicationLevelSignature(as, response, options);
        const claims = oauth.getValidatedIdTokenClaims(tokens) as Record<string, unknown> | undefined;
        // INVARIANT: who confirmed is who was asked.
        if (!claims || claims[idClaim] !== hint) throw new Error('the ID token is of somebody else than was asked');
        const evidence: Json = { idToken: tokens.id_token ?? '', claims: claims as Json };
        return { message: reference, decision: 'approve', reason: '', who: hint, at: tools.clock.now(), evidence };
      } catch (error) {
        const code = error instanceof oauth.ResponseBodyError ? error.error : undefined;
        if (code === 'authorization_pending' || code === 'slow_down' || code === 'expired_token') return null;
        if (code !== 'access_denied') throw error;
        const reason = 'declined at the provider';
        return {
          message: reference,
          decision: 'deny',
          reason,
          who: hint,
          at: tools.clock.now(),
          evidence: { error: code },
        };
      }
    },
  };
}
