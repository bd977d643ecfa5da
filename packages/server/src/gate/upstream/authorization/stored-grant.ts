import { registeredClient, requestToken, wrong } from '../../../credentials/index.ts';
import { GatehouseError } from '../../../platform/index.ts';
import type { Challenge } from './challenge.ts';
import { configuredClient } from './client.ts';
import { bindingOf, type GrantVersion, isSameGrant, type StoredGrant } from './grant-store.ts';
import { revokeToken } from './revoke-token.ts';
import type { SourceContext, TokenSource } from './token-source.ts';
import type { UpstreamToken } from './types.ts';

/** A person is needed. */
export class NotConnected extends GatehouseError {}

interface HeldGrant {
  token: UpstreamToken | undefined;
  /** That the last token came from: still known when the token is dropped, so as not to take the same again. */
  grant: GrantVersion | undefined;
  /** Storage was read since it last changed. */
  isRead: boolean;
  /** How often it was told of since. */
  changes: number;
}

/** What a person has granted: sealed in storage, shared by the replicas, and renewed where it was granted or not at all. */
export function createStoredGrant({ deps, place, web, lookUp, isFresh, isSpent }: SourceContext): TokenSource {
  const { clock, limits, grants } = deps;
  const { server, environment, transport } = place;
  const settings = transport.authorization;
  const state: HeldGrant = { token: undefined, grant: undefined, isRead: false, changes: 0 };
  const isRenewable = (token: UpstreamToken | undefined) => token?.refreshToken !== undefined;
  const isUsable = (grant: StoredGrant | undefined): grant is StoredGrant => grant?.binding === bindingOf(transport);

  return {
    held: () => state.token,
    asked: () => [],
    renew,
    isRenewable,

    async read() {
      while (!state.isRead) {
        const { changes } = state;
        const grant = await grants.read(place);
        // Somebody else has read it, or it has changed meanwhile.
        if (state.isRead || state.changes !== changes) continue;
        state.isRead = true;
        if (isUsable(grant) && !isSpent(grant.token)) take(grant);
        else state.token = undefined;
      }
    },

    async widen(scopes, challenge) {
      const reason = `It wants more scopes than were granted: ${challenge.scopes.join(' ')}.`;
      await needPerson(reason, challenge, scopes, state.grant);
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
      state.changes++;
    },

    async view() {
      const [grant, need] = await Promise.all([grants.read(place), grants.need(place)]);
      const usable = isUsable(grant) ? grant : undefined;
      return {
        token: usable?.token,
        isConnected: usable !== undefined && need === undefined,
        need,
        connectedBy: usable?.connectedBy,
        connectedAt: usable?.connectedAt,
      };
    },
  };

  function take({ token, version, connectedAt }: GrantVersion & { token: UpstreamToken }): void {
    state.token = token;
    state.grant = { version, connectedAt };
  }

  async function renew(challenge: Challenge): Promise<void> {
    const grant = await grants.read(place);
    if (!isUsable(grant)) return needPerson('Nobody has connected this server yet.', challenge, [], grant);
    if (!isSameGrant(grant, state.grant) && !isSpent(grant.token)) {
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
        grant,
      );
    if (stored.refreshToken === undefined)
      return needPerson('Its token is refused or has expired, and cannot be renewed.', challenge, stored.scopes, grant);
    if (!(await grants.claim(place, grant))) return waitForOther(grant);
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
        return needPerson(
          'Its authorization server does not renew the access any more.',
          challenge,
          stored.scopes,
          grant,
        );
      throw error;
    }
    const renewed: UpstreamToken = {
      ...got,
      scopes: got.scopes.length > 0 ? got.scopes : stored.scopes,
      // Rotated, or the same for the next time (RFC 6749 §6).
      refreshToken: got.refreshToken ?? stored.refreshToken,
      key: got.key ?? stored.key,
    };
    if (await grants.replace(place, grant, renewed))
      return take({ ...grant, token: renewed, version: grant.version + 1 });
    const now = await grants.read(place);
    // Nobody grants any more what came. Where somebody does, it may be what is in use (not every server rotates), or end that with it.
    if (now?.token.issuer !== renewed.issuer || now.token.clientId !== renewed.clientId)
      await revokeToken(deps, place, { token: renewed, registered });
    return renew(challenge);
  }

  /** Another replica renews. */
  async function waitForOther(former: GrantVersion): Promise<void> {
    const until = clock.now() + limits.renewalLeaseMs;
    while (clock.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      const grant = await grants.read(place);
      if (!isUsable(grant)) break;
      if (isSameGrant(grant, former)) continue;
      take(grant);
      return;
    }
    throw wrong(`The access to ${server} is being renewed and did not come in time.`);
  }

  /** Because this grant does not do, or there is none. */
  async function needPerson(
    reason: string,
    challenge: Challenge,
    scopes: string[],
    grant: GrantVersion | undefined,
  ): Promise<never> {
    const need = {
      reason,
      scopes: [...new Set([...scopes, ...challenge.scopes])].slice(0, limits.scopesPerServer),
      resourceMetadata: challenge.resourceMetadata,
    };
    await grants.putNeed(place, need, grant);
    throw new NotConnected(
      'unavailable',
      'upstream.not-connected',
      `${reason} An operator connects it: gatehouse servers connect ${server} --environment ${environment}`,
    );
  }
}
