import { hash } from 'node:crypto';
import type { UpstreamAuthorizationState } from '@gatehouse/protocol';
import { generateProof } from 'dpop';
import { generateKeyPair } from 'oauth4webapi';
import { type Clock, GatehouseError, type Log, type Outbound } from '../../../platform/index.ts';
import type { RecordChange, Storage } from '../../../storage/index.ts';
import type { UpstreamLimits } from '../limits.ts';
import { UpstreamFailure } from '../types.ts';
import { type Challenge, noChallenge, readChallenge } from './challenge.ts';
import { type ClientDependencies, configuredClient, registeredClient } from './client.ts';
import { type Discovered, discover, wrong } from './discovery.ts';
import { echoes } from './echo.ts';
import { bindingOf, type GrantStore, type Place } from './grant-store.ts';
import { requestWithoutPerson } from './grants.ts';
import { createGuardedFetch } from './guarded-fetch.ts';
import { isSubset, selectScopes } from './scopes.ts';
import { requestToken } from './token-request.ts';
import type { AuthorizedTransport, Authorizer, ProofKey, UpstreamToken } from './types.ts';

export interface AuthorizerDependencies extends ClientDependencies {
  storage: Storage;
  recordChange: RecordChange;
  grants: GrantStore;
  outbound: Outbound;
  clock: Clock;
  log: Log;
  limits: UpstreamLimits;
  trustDomain: string;
}

export type AuthorizedPlace = Place & { transport: AuthorizedTransport };

/** A person is needed. */
class NotConnected extends GatehouseError {}

/**
 * The token of one server in one environment: got when the server first asks for one, renewed before it expires or when it is refused,
 * kept in memory (and sealed in storage where a person's consent is behind it). Whoever needs it at the same time waits for the same
 * request.
 */
export function createAuthorizer(deps: AuthorizerDependencies, place: AuthorizedPlace): Authorizer {
  const { clock, limits, grants, log } = deps;
  const { server, environment, transport } = place;
  const settings = transport.authorization;
  const isPersonal = settings.grant === 'authorization_code';
  const web = createGuardedFetch(deps.outbound, transport, settings, limits);
  const subject = `spiffe://${deps.trustDomain}/env/${environment}/workload/gatehouse`;
  const target = new URL(transport.url);
  const proofTarget = `${target.origin}${target.pathname}`;

  let token: UpstreamToken | undefined;
  /** Of the stored grant that `token` came from. */
  let version = 0;
  let isLoaded = !isPersonal;
  /** The last ones that the server was given, to know them again in its answers. */
  let given: UpstreamToken[] = [];
  /** Digests of tokens that the server has shown around: never sent again. The oldest give way. */
  const spent = new Set<string>();
  let known: { at: number; discovered: Discovered } | undefined;
  let proofKey: ProofKey | undefined;
  let nonce: string | undefined;
  let asked: string[] = [];
  let working: Promise<void> | undefined;
  let failure: { message: string; at: number; until: number } | undefined;

  const isFresh = ({ expiresAt }: UpstreamToken) =>
    expiresAt === null || expiresAt - clock.now() > limits.renewBeforeMs;

  return {
    async headers(method, attempt): Promise<Record<string, string>> {
      if (!isLoaded) await load();
      if (token !== undefined && !isFresh(token)) {
        const isAlive = token.expiresAt !== null && token.expiresAt > clock.now();
        const canWait = isAlive && isPersonal && token.refreshToken === undefined;
        if (!canWait)
          await renew(noChallenge, token).catch((error: unknown) => {
            if (!isAlive) throw error;
            log.warn('upstream.token-not-renewed', { server, environment, error });
          });
      }
      // It may be forgotten while the proof is made.
      const held = token;
      attempt.token = held;
      if (held === undefined) return {};
      if (!given.includes(held)) given = [...given, held].slice(-MAX_GIVEN);
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
        attempt.renewed = true;
        if (token === undefined || token === attempt.token) await renew(challenge, attempt.token);
        return true;
      }
      if (status !== 403 || challenge.error !== 'insufficient_scope') return false;
      if (attempt.stepUps++ >= limits.stepUpsPerCall) return false;
      return stepUp(challenge, attempt.token);
    },

    heard(headers) {
      const given = headers['dpop-nonce'];
      if (typeof given === 'string' && /^[\x21\x23-\x5b\x5d-\x7e]{1,500}$/.test(given)) nonce = given;
    },

    echoes(text) {
      const shown = given.find((each) => echoes(text, each.value));
      if (shown === undefined) return false;
      if (spent.size >= MAX_SPENT) spent.delete(spent.values().next().value as string);
      spent.add(digestOf(shown));
      fail(`${server} sent back the token that it was called with. It is not used any more.`);
      if (token !== undefined && spent.has(digestOf(token))) {
        token = undefined;
        isLoaded = true;
      }
      return true;
    },

    forget() {
      token = undefined;
      known = undefined;
      failure = undefined;
      isLoaded = !isPersonal;
    },

    async view() {
      const [grant, need] = isPersonal ? await Promise.all([grants.read(place), grants.need(place)]) : [];
      const usable = grant?.binding === bindingOf(transport) ? grant : undefined;
      const shown = isPersonal ? usable?.token : token;
      const state = (): UpstreamAuthorizationState => {
        if (isPersonal && (usable === undefined || need !== undefined)) return 'not-connected';
        if (failure !== undefined) return 'failing';
        return shown === undefined ? 'idle' : 'authorized';
      };
      const wrongs = need ? { message: need.reason, at: need.at } : failure;
      return {
        environment,
        grant: settings.grant,
        state: state(),
        issuer: shown?.issuer ?? settings.issuer ?? null,
        resource: shown?.resource ?? null,
        clientId: shown?.clientId ?? settings.clientId ?? null,
        scopes: shown?.scopes ?? [],
        bound: shown?.key !== undefined,
        expiresAt: shown?.expiresAt ?? null,
        renewable: isPersonal ? shown?.refreshToken !== undefined : true,
        connectedBy: usable?.connectedBy ?? null,
        connectedAt: usable?.connectedAt ?? null,
        lastError: wrongs?.message ?? null,
        lastErrorAt: wrongs?.at ?? null,
      };
    },
  };

  async function load(): Promise<void> {
    const grant = await grants.read(place);
    isLoaded = true;
    if (grant === undefined || grant.binding !== bindingOf(transport) || spent.has(digestOf(grant.token))) return;
    token = grant.token;
    version = grant.version;
  }

  /** Another token instead of the one that was refused or runs out. One attempt serves all who wait. */
  function renew(challenge: Challenge, instead: UpstreamToken | undefined): Promise<void> {
    if (working !== undefined) return working;
    if (failure !== undefined && failure.until > clock.now()) return Promise.reject(unreachable(failure.message));
    const attempt = isPersonal ? renewStored(challenge, instead) : getAnother(challenge);
    working = attempt
      .then(
        () => {
          failure = undefined;
        },
        (error: unknown) => {
          if (!(error instanceof GatehouseError)) throw error;
          if (token === instead) token = undefined;
          // A person may put it right at any moment; an authorization server that refuses is left in peace for a while.
          fail(error.message, error instanceof NotConnected ? 0 : limits.refusedPauseMs);
          throw unreachable(error.message, error);
        },
      )
      .finally(() => {
        working = undefined;
      });
    return working;
  }

  async function getAnother(challenge: Challenge): Promise<void> {
    const discovered = await lookUp(challenge);
    const { as, resourceScopes } = discovered;
    const scopes = selectScopes({
      had: asked,
      challenged: challenge.scopes,
      resource: resourceScopes,
      server: as.scopes_supported,
      allowed: settings.scopes,
      offline: false,
    });
    const binds = offersBinding(discovered, challenge);
    if (binds) proofKey ??= await generateKeyPair('ES256', { extractable: true });
    const got = await requestWithoutPerson({
      deps,
      settings,
      discovered,
      subject,
      web,
      scopes,
      key: binds ? proofKey : undefined,
      mustBind: settings.dpop === 'required' || (binds && discovered.boundOnly),
      limits,
      now: clock.now(),
    });
    asked = scopes ?? [];
    const until = got.expiresAt === null ? '' : `, until ${new Date(got.expiresAt).toISOString()}`;
    await deps.storage.transaction((transaction) =>
      deps.recordChange(transaction, {
        operation: 'upstream.token',
        by: 'gatehouse',
        environment,
        changes: [
          `token of ${got.issuer} for the tool server ${server}${until}, scopes: ${got.scopes.join(' ').slice(0, 1_000) || 'none named'}`,
        ],
      }),
    );
    token = got;
  }

  /** What a person has granted is renewed where that was granted, or not at all. */
  async function renewStored(challenge: Challenge, instead: UpstreamToken | undefined): Promise<void> {
    const grant = await grants.read(place);
    if (grant === undefined || grant.binding !== bindingOf(transport))
      return needPerson('Nobody has connected this server yet.', challenge, []);
    if (grant.version !== version && instead !== undefined && !spent.has(digestOf(grant.token))) {
      token = grant.token;
      version = grant.version;
      if (isFresh(token)) return;
    }
    const { token: stored, registered } = grant;
    const { as, boundOnly } = await lookUp(challenge);
    if (as.issuer !== stored.issuer)
      return needPerson(
        `Its authorization server was ${stored.issuer} and is now ${as.issuer}; what the former gave is not sent to the latter.`,
        challenge,
        [],
      );
    if (stored.refreshToken === undefined)
      return needPerson('Its token is refused or has expired, and cannot be renewed.', challenge, stored.scopes);
    if (!(await grants.claim(place, grant.version))) return waitForOther(grant.version);
    const client = registered
      ? registeredClient(registered)
      : await configuredClient(deps, settings, as, stored.clientId);
    let got: UpstreamToken;
    try {
      got = await requestToken({
        web,
        as,
        client,
        grantType: 'refresh_token',
        parameters: { refresh_token: stored.refreshToken.reveal() },
        resource: stored.resource,
        scopes: undefined,
        key: stored.key,
        mustBind: settings.dpop === 'required' || boundOnly,
        limits,
        now: clock.now(),
      });
    } catch (error) {
      if (error instanceof GatehouseError && / refuses: invalid_grant\.$/.test(error.message))
        return needPerson('Its authorization server does not renew the access any more.', challenge, stored.scopes);
      throw error;
    }
    const renewed: UpstreamToken = {
      ...got,
      scopes: got.scopes.length > 0 ? got.scopes : stored.scopes,
      // Rotated, or the same for the next time (RFC 6749 §6).
      refreshToken: got.refreshToken ?? stored.refreshToken,
      key: got.key ?? stored.key,
    };
    await grants.replace(place, grant, renewed);
    token = renewed;
    version = grant.version + 1;
  }

  /** Another replica renews. */
  async function waitForOther(from: number): Promise<void> {
    const until = clock.now() + limits.renewalLeaseMs;
    while (clock.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      const grant = await grants.read(place);
      if (grant === undefined) break;
      if (grant.version === from) continue;
      token = grant.token;
      version = grant.version;
      return;
    }
    throw wrong(`The access to ${server} is being renewed and did not come in time.`);
  }

  /** Asks for what was had and what is wanted. False: the refusal stands. */
  async function stepUp(challenge: Challenge, used: UpstreamToken | undefined): Promise<boolean> {
    const had = used?.scopes.length ? used.scopes : asked;
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
    if (isPersonal) {
      await needPerson(
        `It wants more scopes than were granted: ${challenge.scopes.join(' ')}.`,
        challenge,
        union,
      ).catch((error) => {
        fail((error as Error).message, 0);
        throw unreachable((error as Error).message, error);
      });
    }
    asked = union;
    if (token === undefined || token === used) await renew(challenge, used);
    return true;
  }

  async function needPerson(reason: string, challenge: Challenge, scopes: string[]): Promise<never> {
    await grants.putNeed(place, {
      reason,
      scopes: [...new Set([...scopes, ...challenge.scopes])].slice(0, limits.scopesPerServer),
      resourceMetadata: challenge.resourceMetadata,
    });
    throw new NotConnected(
      'unavailable',
      'upstream.not-connected',
      `${reason} An operator connects it: gatehouse servers connect ${server} --environment ${environment}`,
    );
  }

  async function lookUp(challenge: Challenge): Promise<Discovered> {
    // A refusal is a reason to look again: the authorization server may be another by now.
    const isCurrent =
      challenge === noChallenge && known !== undefined && clock.now() - known.at < limits.discoveryMaxAgeMs;
    if (!isCurrent) known = { at: clock.now(), discovered: await discover(web, transport, settings, challenge) };
    return (known as { discovered: Discovered }).discovered;
  }

  function offersBinding({ as, boundOnly }: Discovered, challenge: Challenge): boolean {
    const offered = as.dpop_signing_alg_values_supported?.includes('ES256') === true;
    if (settings.dpop === 'off') {
      if (boundOnly)
        throw wrong(`${server} takes only tokens bound to a key, and its manifest turns them off (\`dpop: off\`).`);
      return false;
    }
    if (!offered && (settings.dpop === 'required' || boundOnly))
      throw wrong(
        `${as.issuer} does not offer tokens bound to an ES256 key, which ${boundOnly ? server : 'the manifest'} requires.`,
      );
    return offered || challenge.dpop;
  }

  function fail(message: string, pauseMs: number = limits.refusedPauseMs): void {
    failure = { message, at: clock.now(), until: clock.now() + pauseMs };
  }
}

const MAX_SPENT = 100;
const MAX_GIVEN = 8;

const digestOf = ({ value }: UpstreamToken) => hash('sha256', value.reveal(), 'base64url');

const unreachable = (message: string, cause?: unknown) => new UpstreamFailure('unreachable', message, { cause });
