import { registeredClient, requestToken, wrong } from '../../../credentials/index.ts';
import { GatehouseError } from '../../../platform/index.ts';
import type { Challenge } from './challenge.ts';
import { configuredClient } from './client.ts';
import { bindingOf } from './grant-store.ts';
import type { SourceContext, TokenSource } from './token-source.ts';
import type { UpstreamToken } from './types.ts';

/** A person is needed. */
export class NotConnected extends GatehouseError {}

interface HeldGrant {
  token: UpstreamToken | undefined;
  /** Of the stored grant that the last token came from: still known when the token is dropped, so as not to take the same again. */
  version: number;
  /** Storage was read since it last changed. */
  isRead: boolean;
}

/** What a person has granted: sealed in storage, shared by the replicas, and renewed where it was granted or not at all. */
export function createStoredGrant({ deps, place, web, lookUp, isFresh, isSpent }: SourceContext): TokenSource {
  const { clock, limits, grants } = deps;
  const { server, environment, transport } = place;
  const settings = transport.authorization;
  const state: HeldGrant = { token: undefined, version: 0, isRead: false };
  const isRenewable = (token: UpstreamToken | undefined) => token?.refreshToken !== undefined;

  return {
    held: () => state.token,
    asked: () => [],
    renew,
    isRenewable,

    async read() {
      if (state.isRead) return;
      const grant = await grants.read(place);
      state.isRead = true;
      if (grant === undefined || grant.binding !== bindingOf(transport) || isSpent(grant.token)) return;
      take(grant);
    },

    async widen(scopes, challenge) {
      await needPerson(`It wants more scopes than were granted: ${challenge.scopes.join(' ')}.`, challenge, scopes);
    },

    drop() {
      state.token = undefined;
    },

    dropShown() {
      state.token = undefined;
      state.isRead = true;
    },

    forget() {
      state.token = undefined;
      state.isRead = false;
    },

    async view() {
      const [grant, need] = await Promise.all([grants.read(place), grants.need(place)]);
      const usable = grant?.binding === bindingOf(transport) ? grant : undefined;
      return {
        token: usable?.token,
        isConnected: usable !== undefined && need === undefined,
        need,
        connectedBy: usable?.connectedBy,
        connectedAt: usable?.connectedAt,
      };
    },
  };

  function take({ token, version }: { token: UpstreamToken; version: number }): void {
    state.token = token;
    state.version = version;
  }

  async function renew(challenge: Challenge, instead: UpstreamToken | undefined): Promise<void> {
    const grant = await grants.read(place);
    if (grant === undefined || grant.binding !== bindingOf(transport))
      return needPerson('Nobody has connected this server yet.', challenge, []);
    if (grant.version !== state.version && instead !== undefined && !isSpent(grant.token)) {
      take(grant);
      if (isFresh(grant.token)) return;
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
    take({ token: renewed, version: grant.version + 1 });
  }

  /** Another replica renews. */
  async function waitForOther(from: number): Promise<void> {
    const until = clock.now() + limits.renewalLeaseMs;
    while (clock.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      const grant = await grants.read(place);
      if (grant === undefined) break;
      if (grant.version === from) continue;
      take(grant);
      return;
    }
    throw wrong(`The access to ${server} is being renewed and did not come in time.`);
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
}
