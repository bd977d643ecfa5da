import type { UpstreamAuthorizationState } from '@gatehouse/protocol';
import { generateProof } from 'dpop';
import { GatehouseError } from '../../../platform/index.ts';
import { UpstreamFailure } from '../types.ts';
import { type Challenge, noChallenge, readChallenge } from './challenge.ts';
import { guardOf } from './guard.ts';
import { createMachineToken } from './machine-token.ts';
import { isSubset } from './scopes.ts';
import { createShownTokens } from './shown-tokens.ts';
import { createStoredGrant, NotConnected } from './stored-grant.ts';
import { type AuthorizedPlace, type AuthorizerDependencies, createLookUp } from './token-source.ts';
import type { Authorizer, UpstreamToken } from './types.ts';

/**
 * The token of one server in one environment: got when the server first asks for one, renewed before it expires or when it is refused,
 * kept in memory (and sealed in storage where a person's consent is behind it). Whoever needs it at the same time waits for the same
 * request.
 */
export function createAuthorizer(deps: AuthorizerDependencies, place: AuthorizedPlace): Authorizer {
  const { clock, limits, log } = deps;
  const { server, environment, transport } = place;
  const settings = transport.authorization;
  const web = guardOf(deps.outbound, transport, settings, limits);
  const lookUp = createLookUp(web, transport, deps);
  const shown = createShownTokens();
  const isFresh = ({ expiresAt }: UpstreamToken) =>
    expiresAt === null || expiresAt - clock.now() > limits.renewBeforeMs;
  const createSource = settings.grant === 'authorization_code' ? createStoredGrant : createMachineToken;
  const source = createSource({ deps, place, web, lookUp, isFresh, isSpent: shown.isSpent });
  const target = new URL(transport.url);
  const proofTarget = `${target.origin}${target.pathname}`;

  /** The server's, for the next proof. */
  let nonce: string | undefined;
  let working: Promise<void> | undefined;
  /** Goes up with each `forget`: what was begun before says nothing of what is so now. */
  let known = 0;
  let failure: { message: string; at: number; until: number } | undefined;

  return {
    async headers(method, attempt): Promise<Record<string, string>> {
      await source.read();
      const token = source.held();
      if (token !== undefined && !isFresh(token)) {
        const isAlive = token.expiresAt !== null && token.expiresAt > clock.now();
        const canWait = isAlive && !source.isRenewable(token);
        if (!canWait)
          await renew(noChallenge, token).catch((error: unknown) => {
            if (!isAlive) throw error;
            log.warn('upstream.token-not-renewed', { server, environment, error });
          });
      }
      // It may be forgotten while the proof is made.
      const held = source.held();
      attempt.token = held;
      if (held === undefined) return {};
      shown.give(held);
      const value = held.value.reveal();
      if (held.key === undefined) return { authorization: `Bearer ${value}` };
      attempt.nonce = nonce;
      const proof = await generateProof(held.key, proofTarget, method, nonce, value);
      return { authorization: `DPoP ${value}`, dpop: proof };
    },

    async refused(status, headers, attempt) {
      const challenge = readChallenge(headers);
      if (status === 401) {
        const isNonceWanted = attempt.token?.key !== undefined && nonce !== undefined && nonce !== attempt.nonce;
        if (isNonceWanted && (challenge.error === 'use_dpop_nonce' || challenge.error === undefined)) {
          if (attempt.nonceRetries++ < 2) return true;
        }
        if (attempt.renewed) {
          fail(`${server} refuses the token that it was just given (HTTP 401).`);
          return false;
        }
        // Another token is tried once; that it is refused as well does not mean that it cannot be renewed.
        if (!attempt.adopted && isAnother(attempt.token)) {
          attempt.adopted = true;
          return true;
        }
        attempt.renewed = true;
        await renew(challenge, attempt.token);
        return true;
      }
      if (status !== 403 || challenge.error !== 'insufficient_scope') return false;
      if (attempt.stepUps++ >= limits.stepUpsPerCall) return false;
      if (isAnother(attempt.token)) return true;
      return stepUp(challenge, attempt.token);
    },

    heard(headers) {
      const given = headers['dpop-nonce'];
      if (typeof given === 'string' && /^[\x21\x23-\x5b\x5d-\x7e]{1,500}$/.test(given)) nonce = given;
    },

    echoes(text) {
      if (!shown.echoes(text)) return false;
      fail(`${server} sent back the token that it was called with. It is not used any more.`);
      const held = source.held();
      if (held !== undefined && shown.isSpent(held)) source.dropShown();
      return true;
    },

    forget() {
      source.forget();
      lookUp.forget();
      failure = undefined;
      working = undefined;
      known++;
    },

    async view() {
      const { token, isConnected, need, connectedBy, connectedAt } = await source.view();
      const state = (): UpstreamAuthorizationState => {
        if (!isConnected) return 'not-connected';
        if (failure !== undefined) return 'failing';
        return token === undefined ? 'idle' : 'authorized';
      };
      const wrongs = need ? { message: need.reason, at: need.at } : failure;
      return {
        environment,
        grant: settings.grant,
        state: state(),
        issuer: token?.issuer ?? settings.issuer ?? null,
        resource: token?.resource ?? null,
        clientId: token?.clientId ?? settings.clientId ?? null,
        scopes: token?.scopes ?? [],
        bound: token?.key !== undefined,
        expiresAt: token?.expiresAt ?? null,
        renewable: source.isRenewable(token),
        connectedBy: connectedBy ?? null,
        connectedAt: connectedAt ?? null,
        lastError: wrongs?.message ?? null,
        lastErrorAt: wrongs?.at ?? null,
      };
    },
  };

  /** Another token instead of the one that was refused or runs out. One attempt serves all who wait. */
  function renew(challenge: Challenge, instead: UpstreamToken | undefined): Promise<void> {
    if (working !== undefined) return working;
    if (failure !== undefined && failure.until > clock.now()) return Promise.reject(unreachable(failure.message));
    const begun = known;
    const work: Promise<void> = source
      .renew(challenge)
      .then(
        () => {
          if (known === begun) failure = undefined;
        },
        (error: unknown) => {
          if (!(error instanceof GatehouseError)) throw error;
          if (known === begun) {
            if (!isAnother(instead)) source.drop();
            // A person may put it right at any moment; an authorization server that refuses is left in peace for a while.
            fail(error.message, error instanceof NotConnected ? 0 : limits.refusedPauseMs);
          }
          throw unreachable(error.message, error);
        },
      )
      .finally(() => {
        if (working === work) working = undefined;
      });
    working = work;
    return work;
  }

  /** Somebody else got another since. Read again from storage, the same token is another object. */
  function isAnother(used: UpstreamToken | undefined): boolean {
    const held = source.held();
    return held !== undefined && (used === undefined || !held.value.equals(used.value.reveal()));
  }

  /** Asks for what was had and what is wanted. False: the refusal stands. */
  async function stepUp(challenge: Challenge, used: UpstreamToken | undefined): Promise<boolean> {
    const had = used?.scopes.length ? used.scopes : source.asked();
    const union = [...new Set([...had, ...challenge.scopes])];
    if (challenge.scopes.length === 0 || isSubset(challenge.scopes, had)) {
      fail(
        `${server} wants the scopes ${challenge.scopes.join(' ') || 'that it does not name'}, which the token already has.`,
        0,
      );
      return false;
    }
    const beyond = settings.scopes && challenge.scopes.filter((scope) => !settings.scopes?.includes(scope));
    if (beyond !== undefined && beyond.length > 0) {
      fail(`${server} wants the scopes ${beyond.join(' ')}, which its manifest does not allow.`, 0);
      return false;
    }
    if (union.length > limits.scopesPerServer) {
      fail(`${server} wants more than ${limits.scopesPerServer} scopes.`, 0);
      return false;
    }
    await source.widen(union, challenge).catch((error) => {
      fail((error as Error).message, 0);
      throw unreachable((error as Error).message, error);
    });
    await renew(challenge, used);
    return true;
  }

  function fail(message: string, pauseMs: number = limits.refusedPauseMs): void {
    failure = { message, at: clock.now(), until: clock.now() + pauseMs };
  }
}

const unreachable = (message: string, cause?: unknown) => new UpstreamFailure('unreachable', message, { cause });
