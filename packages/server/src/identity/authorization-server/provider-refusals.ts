import { errors, type KoaContextWithOIDC, type Provider } from 'oidc-provider';
import { type Log, retryAfter } from '../../platform/index.ts';
import type { Registry } from '../../registry/index.ts';
import type { NoteRefusal } from '../refusals.ts';
import { descriptionText } from '../tokens/credential-error.ts';
import { AGENT_ALGORITHMS } from '../tokens/jws.ts';
import { arrivalOf } from './arrival.ts';
import { ASSERTION_MAX_LIFE_SECONDS } from './client-assertion.ts';
import { mayBeSaid } from './client-authentication.ts';
import { aboutOf, oauthErrorOf } from './oauth-error.ts';
import { ASSERTION_USED } from './provider-adapter.ts';

export interface RefusalDependencies {
  publicUrl: string;
  registry: Registry;
  noteRefusal: NoteRefusal;
  log: Log;
}

/** What the library refuses: said so that the client can put it right, and recorded. To be called before other middleware is added. */
export function handleRefusals(provider: Provider, dependencies: RefusalDependencies): void {
  const { publicUrl, log, registry, noteRefusal } = dependencies;
  const refused = new WeakMap<object, errors.OIDCProviderError>();
  provider.use(async (ctx, next) => {
    await next();
    ctx.set(retryAfter(ctx.status));
    const error = refused.get(ctx);
    const { oidc } = ctx as { oidc?: KoaContextWithOIDC['oidc'] };
    if (!error || !oidc) return;
    const client = oidc.client?.clientId;
    // A client that could not prove itself is nobody, whatever name it gave.
    const isProven = client !== undefined && registry.snapshot().agents.has(client) && error.error !== 'invalid_client';
    await noteRefusal({
      at: `${ctx.method} ${ctx.path.slice(0, 200)}`,
      code: error.error,
      why: why(error) ?? '',
      agent: isProven ? client : undefined,
      ...aboutOf(error),
    });
  });

  provider.on('server_error', (ctx, error) => {
    const known = oauthErrorOf(error);
    if (known instanceof errors.OIDCProviderError) {
      ctx.status = known.statusCode;
      ctx.body = { error: known.error, error_description: known.error_description };
    }
    log.error('the authorization server failed', { route: ctx.oidc?.route, error });
  });
  const onRefusal = (ctx: KoaContextWithOIDC, error: errors.OIDCProviderError) => {
    if (error instanceof errors.UnsupportedTokenType) return;
    explain(ctx, error, publicUrl);
    const agent = ctx.oidc.client?.clientId;
    const fields = { route: ctx.oidc.route, agent, error: error.error, why: why(error) };
    if (error.statusCode >= 500) log.error('a token request could not be served', { ...fields, cause: error.cause });
    else refused.set(ctx, error);
  };
  provider.on('grant.error', onRefusal);
  provider.on('introspection.error', onRefusal);
  provider.on('revocation.error', onRefusal);
  provider.on('registration_create.error', onRefusal);
  provider.on('authorization.error', onRefusal);
  provider.on('pushed_authorization_request.error', onRefusal);
  provider.on('device_authorization.error', onRefusal);
  provider.on('backchannel_authentication.error', onRefusal);
}

/** What the library says only after the signature was verified; before that it tells nobody which agents exist. */
const saidAfterProof: Record<string, string> = {
  'jwt expired': 'The client assertion has expired: sign a new one, and check the clock.',
  'jwt not active yet': 'The client assertion is not valid yet: check the clock.',
  [ASSERTION_USED]: 'The client assertion was used before: sign a new one, with a new jti, for every request.',
};

/** The library says "client authentication failed" whatever the reason. Says how to get it right, to all the same. */
function explain(ctx: KoaContextWithOIDC, error: errors.OIDCProviderError, publicUrl: string): void {
  if (error.error_description === 'failed to parse the request body' && error.error_detail)
    ctx.body = {
      error: error.error,
      error_description: descriptionText(`The body is refused: ${error.error_detail}.`),
    };
  // RFC 6749 section 5.2 has a code of its own for this.
  if (error.error_description === 'requested grant type is not allowed for this client')
    ctx.body = { error: 'unauthorized_client', error_description: error.error_description };
  if (!(error instanceof errors.InvalidClientAuth)) return;
  const reason = why(error) ?? '';
  const { problem } = arrivalOf(ctx).peer;
  const description =
    saidAfterProof[reason] ??
    (mayBeSaid(reason) ? reason : undefined) ??
    (problem !== undefined && ctx.oidc.params?.client_assertion === undefined
      ? `The client certificate is refused: ${problem}`
      : `Client authentication failed. Send a client_assertion (private_key_jwt) signed with a registered key of the agent (${AGENT_ALGORITHMS.join(', ')}): iss and sub its name, aud ${publicUrl}, exp at most ${ASSERTION_MAX_LIFE_SECONDS} seconds away, a new jti; or its SVID, as client certificate or as JWT.`);
  ctx.body = { error: error.error, error_description: descriptionText(description) };
}

const why = (error: errors.OIDCProviderError): string | undefined => error.error_detail ?? error.error_description;
