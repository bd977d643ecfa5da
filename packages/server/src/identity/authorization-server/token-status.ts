import type { KoaContextWithOIDC } from 'oidc-provider';
import type { Registry } from '../../registry/index.ts';
import { consentOf } from '../consent/consent.ts';
import { type AccessTokenClaims, actorClaims, presenterOf } from '../tokens/access-token.ts';
import { type TokenReader, whyStopped } from '../tokens/authenticate.ts';
import { CredentialError } from '../tokens/credential-error.ts';
import { confirmation } from '../tokens/issue-access-token.ts';

/**
 * Introspection (RFC 7662) and revocation (RFC 7009). oidc-provider authenticates the client; it knows refresh tokens, of which this
 * says more, and declines our JWTs, for which this answers in its place. A client learns about and revokes its own tokens only: of
 * any other token, good or bad, it hears the same.
 */
export function createTokenStatus({
  reader,
  registry,
  publicUrl,
}: {
  reader: TokenReader;
  registry: Registry;
  publicUrl: string;
}) {
  const own = async (ctx: KoaContextWithOIDC, read: (token: string) => Promise<AccessTokenClaims>) => {
    const { client, params } = ctx.oidc;
    const claims = await orUndefined(read(String(params?.token ?? '')));
    return claims && clientOf(claims) === client?.clientId ? claims : undefined;
  };
  const live = async (token: string) => (await reader.read(token)).claims;

  /** A refresh token is alive as long as it would be answered with a token: not after its task, and not while its agent is stopped. */
  const refreshToken = async ({ entities }: KoaContextWithOIDC['oidc'], answer: object): Promise<object> => {
    const consent = consentOf(entities.Grant as { rar?: unknown } | undefined);
    const agent = registry.snapshot().agents.get(consent?.agent ?? '');
    const task = consent?.started ? await registry.task(consent.started.task) : undefined;
    if (!consent?.started || !agent || whyStopped(agent) || task?.state !== 'active') return { active: false };
    return {
      ...answer,
      ...actorClaims({ agent: agent.spiffeId, task, issuer: publicUrl }),
      ...confirmation(consent.started.binding),
    };
  };

  return async (ctx: KoaContextWithOIDC, next: () => Promise<void>): Promise<void> => {
    await next();
    const { oidc, body } = ctx as { oidc?: KoaContextWithOIDC['oidc']; body: unknown };
    if (!oidc?.client) return;
    if (oidc.route === 'introspection' && oidc.entities.RefreshToken && isActive(body))
      ctx.body = await refreshToken(oidc, body);
    if (!isDeclined(body)) return;
    ctx.status = 200;
    if (oidc.route === 'revocation') {
      // Also one that is refused at the moment, because an agent of its chain is suspended: it must not come back.
      const revoked = await own(ctx, reader.claims);
      const token = revoked && { id: revoked.jti, expiresAt: revoked.exp * 1000, task: revoked.gatehouse.task };
      if (token) await registry.revokeToken(token, presenterOf(revoked));
      ctx.body = '';
      return;
    }
    const active = await own(ctx, live);
    if (!active) {
      ctx.body = { active: false };
      return;
    }
    const { gatehouse: _, ...claims } = active;
    ctx.body = {
      active: true,
      ...claims,
      client_id: clientOf(active),
      token_type: claims.cnf?.jkt ? 'DPoP' : 'Bearer',
    };
  };
}

/** To whom the token was given (RFC 7662 `client_id`): the client that a person drives the agent with, or the agent. */
const clientOf = ({ client_id, gatehouse }: AccessTokenClaims) => gatehouse.client ?? client_id;

async function orUndefined<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof CredentialError) return undefined;
    throw error;
  }
}

const isActive = (body: unknown): body is { active: true } =>
  typeof body === 'object' && body !== null && 'active' in body && body.active === true;

const isDeclined = (body: unknown): boolean =>
  typeof body === 'object' && body !== null && 'error' in body && body.error === 'unsupported_token_type';
