import { randomBytes } from 'node:crypto';
import type { IdentityProviderManifest } from '@gatehouse/protocol';
import { errors, jwtVerify } from 'jose';
import * as oidc from 'openid-client';
import { type Clock, GatehouseError, type Log, type Outbound, Secret, sha256Hex } from '../../../platform/index.ts';
import type { PersonChanges, Snapshot } from '../../../registry/index.ts';
import type { DatabaseTransaction, RecordChange, Sealer, Storage } from '../../../storage/index.ts';
import { useAssertionWithin } from '../../authorization-server/used-assertions.ts';
import type { NewSession, People } from '../types.ts';
import type { ClientKeys } from './client-key.ts';
import { companySignInLimits as limits } from './limits.ts';
import { createProviders } from './providers.ts';
import { type Claims, whoIs } from './who.ts';

export interface CompanySignInDependencies {
  storage: Storage;
  registry: {
    snapshot(): Pick<Snapshot, 'people' | 'directory' | 'identityProviders'>;
    refresh(changes: []): Promise<void>;
  } & Pick<PersonChanges, 'provisionPerson'>;
  recordChange: RecordChange;
  sealer: Sealer;
  outbound: Outbound;
  openSecret(name: string, destination: string): Promise<Secret>;
  clock: Clock;
  log: Log;
  publicUrl: string;
  people: Pick<People, 'openProviderSession' | 'endProviderSessions'>;
  clientKeys: ClientKeys;
}

export interface CompanySignIn {
  /** Where the browser goes, and the secret that binds this sign-in to it. `browser` is the one of an earlier sign-in, if any. */
  begin(provider: string, next: string, browser: string | undefined): Promise<{ url: string; browser: string }>;
  /** What the provider sent the browser back with. Single use. Throws what the person can be told. */
  finish(
    provider: string,
    answer: URL,
    request: { browser: string | undefined; cookie: string | undefined; userAgent: string },
  ): Promise<{ session: NewSession; next: string }>;
  /** A logout token of the provider (OpenID Connect Back-Channel Logout 1.0): ends the sessions that it vouched for. */
  logOut(provider: string, token: string): Promise<number>;
  /** The public keys that providers check our assertions with. */
  jwks(): Promise<{ keys: unknown[] }>;
  sweep(): Promise<void>;
}

const LOGOUT_EVENT = 'http://schemas.openid.net/event/backchannel-logout';

/** Sign-in with the company's provider: authorization code with PKCE, state, nonce and issuer check (OIDC Core §3.1, RFC 7636, RFC 9207). */
export function createCompanySignIn(deps: CompanySignInDependencies): CompanySignIn {
  const { storage, registry, recordChange, sealer, clock, log, publicUrl, people } = deps;
  const providers = createProviders(deps);

  function find(name: string): IdentityProviderManifest {
    const provider = registry.snapshot().identityProviders.get(name);
    if (provider) return provider;
    throw new GatehouseError(
      'not-found',
      'identity-provider.unknown',
      `There is no identity provider "${name.slice(0, 64)}" here. Go back to the sign-in page.`,
    );
  }

  /** One address for each provider: what one of them was asked, no other can answer (RFC 9700 §4.4). */
  const redirectUri = (name: string) => `${publicUrl}/oidc/callback/${name}`;

  async function clientOf(provider: IdentityProviderManifest): Promise<oidc.Configuration> {
    try {
      return await providers.client(provider);
    } catch (error) {
      throw unreachable(provider, error, log);
    }
  }

  return {
    async begin(name, next, given) {
      const provider = find(name);
      const client = await clientOf(provider);
      const browser = given !== undefined && /^[\w-]{43}$/.test(given) ? given : randomBytes(32).toString('base64url');
      const state = oidc.randomState();
      const nonce = oidc.randomNonce();
      const verifier = oidc.randomPKCECodeVerifier();
      const state_digest = sha256Hex(state);
      await storage.transaction(async (transaction) => {
        await makeRoom(transaction);
        await transaction
          .insertInto('provider_sign_ins')
          .values({
            state_digest,
            provider: name,
            browser_digest: sha256Hex(browser),
            nonce,
            sealed_verifier: sealer.seal(new Secret(verifier), `provider-sign-in:${state_digest}`),
            next: safeNext(next),
            expires_at: clock.now() + limits.signInTtlMs,
          })
          .execute();
      });
      const url = oidc.buildAuthorizationUrl(client, {
        redirect_uri: redirectUri(name),
        scope: [...new Set(['openid', ...provider.scopes])].join(' '),
        state,
        nonce,
        code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
      });
      return { url: url.href, browser };
    },

    async finish(name, answer, { browser, cookie, userAgent }) {
      const provider = find(name);
      const states = answer.searchParams.getAll('state');
      const state = states.length === 1 ? (states[0] as string) : '';
      const state_digest = sha256Hex(state);
      // Deleted before anything is looked at: what is tried with it, it was tried once.
      const pending = await storage.transaction((transaction) =>
        transaction
          .deleteFrom('provider_sign_ins')
          .where('state_digest', '=', state_digest)
          .where('provider', '=', name)
          .where('browser_digest', '=', sha256Hex(browser ?? ''))
          .where('expires_at', '>', clock.now())
          .returningAll()
          .executeTakeFirst(),
      );
      if (!pending)
        throw new GatehouseError(
          'unauthenticated',
          'identity.no-sign-in',
          'This sign-in was not begun in this browser, took too long, or was used already. Begin again.',
        );
      const client = await clientOf(provider);
      const verifier = sealer.open(pending.sealed_verifier, `provider-sign-in:${state_digest}`).reveal();
      const claims = await claimsOf(provider, client, answer, { state, nonce: pending.nonce, verifier });
      const email = await storage
        .transaction(async (transaction) => {
          const found = await whoIs(deps, transaction, provider, claims);
          if (found.refusal) await people.endProviderSessions(transaction, { provider: name, subject: claims.sub });
          return found;
        })
        .then(async ({ email, refusal }) => {
          // Somebody just made is in no snapshot yet, and a session is opened for who is in one.
          await registry.refresh([]);
          if (refusal) throw refusal;
          return email;
        })
        .catch(async (error: unknown) => {
          if (!(error instanceof GatehouseError)) throw error;
          await storage.transaction((transaction) =>
            recordChange(transaction, {
              operation: 'person.sign-in.refuse',
              by: 'gatehouse',
              changes: [`by ${name}, subject ${claims.sub.slice(0, 100)}`],
              detail: `${error.code}: ${error.message}`.slice(0, 1_000),
            }),
          );
          throw error;
        });
      const opened = await storage.transaction((transaction) =>
        people.openProviderSession(transaction, email, {
          provider: { name, subject: claims.sub, session: typeof claims.sid === 'string' ? claims.sid : null },
          userAgent,
          ...(cookie !== undefined && { cookie }),
        }),
      );
      return { session: opened, next: pending.next };
    },

    async logOut(name, token) {
      const provider = find(name);
      const client = await clientOf(provider);
      try {
        const { payload } = await jwtVerify(token, providers.keys(provider), {
          issuer: client.serverMetadata().issuer,
          audience: provider.clientId,
          algorithms: ['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519'],
          clockTolerance: limits.clockToleranceSeconds,
          currentDate: new Date(clock.now()),
          maxTokenAge: '10 minutes',
          requiredClaims: ['iat', 'exp', 'jti', 'events'],
        });
        const events = payload.events as Record<string, unknown> | null;
        const isLogout = typeof events === 'object' && events !== null && Object.hasOwn(events, LOGOUT_EVENT);
        const sid = typeof payload.sid === 'string' ? payload.sid : undefined;
        // A nonce would let an ID token pass for one (Back-Channel Logout 1.0 §2.4).
        if (!isLogout || payload.nonce !== undefined || (payload.sub === undefined && sid === undefined))
          throw new errors.JWTInvalid('it is no logout token');
        const { jti, exp } = payload as { jti: string; exp: number };
        return await storage.transaction(async (transaction) => {
          // One transaction with what it ends: a provider that tries again after a failure is heard.
          const id = `logout:${sha256Hex(JSON.stringify([name, jti]))}`;
          const until = (exp + limits.clockToleranceSeconds) * 1_000;
          const isNew = await useAssertionWithin(transaction, id, clock.now(), until);
          if (!isNew) throw new errors.JWTInvalid('it was used before');
          return people.endProviderSessions(transaction, {
            provider: name,
            ...(payload.sub !== undefined && { subject: payload.sub }),
            ...(sid !== undefined && { session: sid }),
          });
        });
      } catch (cause) {
        if (!(cause instanceof errors.JOSEError)) throw cause;
        throw new GatehouseError(
          'bad-request',
          'logout-token.invalid',
          `The logout token is refused: ${cause.message}.`,
          {
            cause,
          },
        );
      }
    },

    jwks: deps.clientKeys.jwks,

    async sweep() {
      await storage.transaction((transaction) =>
        transaction.deleteFrom('provider_sign_ins').where('expires_at', '<=', clock.now()).execute(),
      );
    },
  };

  async function claimsOf(
    provider: IdentityProviderManifest,
    client: oidc.Configuration,
    answer: URL,
    expected: { state: string; nonce: string; verifier: string },
  ): Promise<Claims> {
    try {
      const tokens = await oidc.authorizationCodeGrant(client, answer, {
        expectedState: expected.state,
        expectedNonce: expected.nonce,
        pkceCodeVerifier: expected.verifier,
        idTokenExpected: true,
      });
      const claims = tokens.claims() as Claims;
      const wanted = [provider.emailClaim, ...(provider.groupsClaim === undefined ? [] : [provider.groupsClaim])];
      if (wanted.every((claim) => claims[claim] !== undefined) || !client.serverMetadata().userinfo_endpoint)
        return claims;
      // The ID token comes last: what was signed is not replaced by what was only fetched.
      return { ...(await oidc.fetchUserInfo(client, tokens.access_token, claims.sub)), ...claims };
    } catch (error) {
      providers.forget(provider.name);
      throw refused(provider, error, log);
    }
  }
}

/** Anybody can begin a sign-in. Of too many the oldest give way, so that a flood locks nobody out for longer than it lasts. */
async function makeRoom(transaction: DatabaseTransaction): Promise<void> {
  const surplus = await transaction
    .selectFrom('provider_sign_ins')
    .select('state_digest')
    .orderBy('expires_at', 'desc')
    .limit(limits.sweptAtOnce)
    .offset(limits.signInsUnderWay - 1)
    .execute();
  if (surplus.length === 0) return;
  const digests = surplus.map(({ state_digest }) => state_digest);
  await transaction.deleteFrom('provider_sign_ins').where('state_digest', 'in', digests).execute();
}

/** Only a path of our own: an open redirect would lend our name to a phishing page. */
function safeNext(next: string): string {
  const url = URL.parse(next, 'http://here.invalid');
  const isOurs = url?.host === 'here.invalid' && next.startsWith('/') && !/^\/[/\\]/.test(next);
  // As it was read: what a header can't hold (line ends, other letters) is gone or escaped.
  return isOurs ? url.pathname.replace(/^\/+/, '/') + url.search + url.hash : '/';
}

function unreachable(provider: IdentityProviderManifest, cause: unknown, log: Log): GatehouseError {
  if (cause instanceof GatehouseError && !cause.code.startsWith('outbound.')) return cause;
  log.warn('an identity provider could not be asked', { provider: provider.name, error: cause });
  return new GatehouseError(
    'upstream',
    'identity-provider.unreachable',
    `${provider.displayName} can't be reached now, or does not answer as an OpenID provider. Try again soon, or sign in with a passkey.`,
    { cause },
  );
}

/** What went wrong between us and the provider: told in kind, logged in full. */
function refused(provider: IdentityProviderManifest, cause: unknown, log: Log): GatehouseError {
  if (cause instanceof oidc.AuthorizationResponseError)
    return new GatehouseError(
      'forbidden',
      'identity.refused',
      `${provider.displayName} did not let you in (${cause.error.slice(0, 60)}). Begin again, or ask an admin.`,
      { cause },
    );
  const code = (cause as { code?: unknown }).code;
  if (cause instanceof GatehouseError || code === 'OAUTH_TIMEOUT' || cause instanceof TypeError) {
    const inner = (cause as Error).cause;
    if (cause instanceof GatehouseError || inner instanceof GatehouseError) return unreachable(provider, cause, log);
  }
  log.warn('an identity provider gave an answer that is not accepted', { provider: provider.name, error: cause });
  return new GatehouseError(
    'unauthenticated',
    'identity.not-verified',
    `The answer of ${provider.displayName} does not prove who you are. Begin again; if it happens twice, tell an admin.`,
    { cause },
  );
}
