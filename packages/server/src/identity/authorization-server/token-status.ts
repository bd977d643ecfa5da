import type { KoaContextWithOIDC } from 'oidc-provider';
import type { Registry } from '../../registry/index.ts';
import type { AccessTokenClaims } from '../tokens/access-token.ts';
import type { TokenReader } from '../tokens/authenticate.ts';
import { CredentialError } from '../tokens/credential-error.ts';

/**
 * Introspection (RFC 7662) and revocation (RFC 7009) of our JWTs. oidc-provider authenticates the client and then declines structured
 * tokens; this runs after it and answers in its place. An agent learns about and revokes its own tokens only: of any other
 * token, good or bad, it hears the same.
 */
export function createTokenStatus({ reader, registry }: { reader: TokenReader; registry: Registry }) {
  const own = async (ctx: KoaContextWithOIDC) => {
    const { client, params } = ctx.oidc;
    const live = await readOrUndefined(reader, String(params?.token ?? ''));
    return live && clientOf(live.claims) === client?.clientId ? live : undefined;
  };

  return async (ctx: KoaContextWithOIDC, next: () => Promise<void>): Promise<void> => {
    await next();
    const { oidc, body } = ctx as { oidc?: KoaContextWithOIDC['oidc']; body: unknown };
    if (!oidc?.client || !isDeclined(body)) return;
    const live = await own(ctx);
    ctx.status = 200;
    if (oidc.route === 'revocation') {
      if (live) await registry.revokeToken(live.claims.jti, live.claims.exp * 1000, live.agent.spiffeId);
      ctx.body = '';
      return;
    }
    if (!live) {
      ctx.body = { active: false };
      return;
    }
    const { gatehouse: _, ...claims } = live.claims;
    ctx.body = {
      active: true,
      ...claims,
      client_id: clientOf(live.claims),
      token_type: claims.cnf?.jkt ? 'DPoP' : 'Bearer',
    };
  };
}

/** To whom the token was given (RFC 7662 `client_id`): the client that a person drives the agent with, or the agent. */
const clientOf = ({ client_id, gatehouse }: AccessTokenClaims) => gatehouse.client ?? client_id;

async function readOrUndefined(reader: TokenReader, token: string) {
  try {
    return await reader.read(token);
  } catch (error) {
    if (error instanceof CredentialError) return undefined;
    throw error;
  }
}

const isDeclined = (body: unknown): boolean =>
  typeof body === 'object' && body !== null && 'error' in body && body.error === 'unsupported_token_type';
