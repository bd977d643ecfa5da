import { errors, type Provider, type TokenEndpointGrantContext } from 'oidc-provider';
import { type SignInGrant, signInOf } from '../../consent/command-line.ts';
import type { People } from '../../people/index.ts';
import { CredentialError } from '../../tokens/credential-error.ts';
import { arrivalOf } from '../arrival.ts';
import { oauthError } from '../oauth-error.ts';
import type { GrantDependencies } from '../token-answer.ts';

/**
 * The device grant of the command line (RFC 8628): in place of an agent's token it gives a session of the person who said yes,
 * restricted, and bound to the key that the request was begun with (RFC 9449 §10 has `dpop_jkt` for codes; here it is needed).
 */
export interface CommandLineDependencies extends Pick<GrantDependencies, 'proofs' | 'registry' | 'storage' | 'clock'> {
  people: Pick<People, 'openTerminalSession'>;
  provider(): Provider;
  /** Runs the library's own checks, which use the code up; or answers that nobody has said yes yet. */
  finish(ctx: TokenEndpointGrantContext): Promise<void>;
}

export async function startTerminalSession(
  dependencies: CommandLineDependencies,
  ctx: TokenEndpointGrantContext,
): Promise<void> {
  const { proofs, registry, storage, clock, people, finish } = dependencies;
  const granted = await grantOf(dependencies, ctx);
  if (!granted) return finish(ctx);
  const proof = ctx.get('dpop');
  if (!proof)
    throw new CredentialError(
      'invalid_dpop_proof',
      'proof.missing',
      'The session will be bound to a key: send a DPoP proof (RFC 9449) by it in the DPoP header.',
    );
  const { thumbprint } = proofs.check({ proof, method: 'POST', url: arrivalOf(ctx).url });
  if (thumbprint !== granted.dpopKey)
    throw oauthError(
      'invalid_grant',
      'The DPoP proof is of another key than the dpop_jkt that the sign-in began with.',
    );
  // Who has left may still be in a snapshot that has not heard of it.
  if (!storage.feed.fresh())
    throw oauthError(
      'temporarily_unavailable',
      'This replica has lost touch with the workspace and lets nobody in. Try again, or another replica.',
      503,
    );
  if (!registry.snapshot().people.has(granted.person))
    throw oauthError('invalid_grant', `There is no person ${granted.person} any more.`);
  await finish(ctx);
  const { person, grantedIn, userAgent, dpopKey: dpopJkt } = granted;
  const { session, token, expiresAt } = await people
    .openTerminalSession({ person, grantedIn, userAgent, dpopJkt })
    .catch((cause: unknown) => {
      throw isOver(cause)
        ? oauthError('invalid_grant', 'The session in which it was granted has ended. Begin again.')
        : cause;
    });
  ctx.body = {
    access_token: token.reveal(),
    token_type: 'Session',
    expires_in: Math.floor((expiresAt - clock.now()) / 1_000),
    session,
  };
}

const isOver = (error: unknown) =>
  error instanceof Error && 'code' in error && ['session.none', 'person.not-found'].includes(String(error.code));

async function grantOf(
  { provider }: CommandLineDependencies,
  { oidc }: TokenEndpointGrantContext,
): Promise<SignInGrant | undefined> {
  const { device_code: value } = oidc.params;
  if (typeof value !== 'string') return undefined;
  const found = await provider().DeviceCode.find(value, { ignoreExpiration: true });
  if (!found?.grantId || found.clientId !== oidc.client.clientId) return undefined;
  return signInOf((await provider().Grant.find(found.grantId)) as { rar?: unknown } | undefined);
}

/** At the device endpoint: the yes is to a key, so that the key has to be named before anybody is asked. */
export function checkTerminalKey(thumbprint: unknown): void {
  if (typeof thumbprint === 'string' && /^[A-Za-z0-9_-]{43}$/.test(thumbprint)) return;
  throw new errors.InvalidRequest(
    'dpop_jkt is missing: the SHA-256 thumbprint (RFC 7638) of the key that the session will be bound to',
  );
}
