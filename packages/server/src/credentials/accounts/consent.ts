import { randomBytes } from 'node:crypto';
import type { CredentialProviderManifest, OAuthSource } from '@gatehouse/protocol';
import { calculatePKCECodeChallenge, validateAuthResponse } from 'oauth4webapi';
import { GatehouseError } from '../../platform/index.ts';
import {
  callbackOf,
  createPendingConsents,
  FORMER_PATH,
  isSameBrowser,
  newHandle,
  oauthFailure,
  openPlace,
  requestToken,
  stateOf,
} from '../oauth/index.ts';
import type { AccountsDependencies } from './accounts.ts';
import { clientOf } from './client.ts';
import { accountLimits } from './limits.ts';
import { type AccountStore, bindingOf, destinationsOf } from './store.ts';
import type { Accounts, PendingAccount } from './types.ts';

export type OAuthProvider = CredentialProviderManifest & { from: OAuthSource };

/** A person lets one agent use their account at another system: with these scopes, for tasks that are theirs. */
export function createAccountConsent(
  deps: AccountsDependencies,
  store: AccountStore,
  declared: (name: string) => OAuthProvider,
): Pick<Accounts, 'begin' | 'finish'> {
  const { storage, registry, recordChange, outbound, clock, publicUrl } = deps;
  const consents = createPendingConsents<PendingAccount>({ ...deps, limits: accountLimits });

  return {
    async begin(user, { provider, agent, scopes }) {
      const { from, environments } = declared(provider);
      const environment = registry.snapshot().agents.get(agent)?.manifest.environment;
      if (environment === undefined || !environments.includes(environment))
        throw new GatehouseError(
          'not-found',
          'account.agent',
          `There is no agent "${agent}" that "${provider}" issues anything for.`,
        );
      const wanted = [...new Set(scopes ?? from.scopes)].sort();
      const foreign = wanted.find((each) => !from.scopes.includes(each));
      if (foreign !== undefined)
        throw new GatehouseError(
          'forbidden',
          'lease.scope',
          `"${provider}" issues no scope ${foreign}, so that nobody can grant it to an agent.`,
        );
      if ((await store.count(user)) >= accountLimits.perPerson)
        throw new GatehouseError(
          'too-many',
          'account.limit',
          `You have connected ${accountLimits.perPerson} accounts. Disconnect some first.`,
        );
      const { as, name, request } = await openPlace(from, outbound, accountLimits);
      const redirectUri = callbackOf(publicUrl, name);
      const handle = newHandle();
      const state = stateOf(handle);
      const verifier = randomBytes(32).toString('base64url');
      const url = new URL(as.authorization_endpoint ?? '');
      const parameters = {
        response_type: 'code',
        client_id: from.clientId,
        redirect_uri: redirectUri,
        state,
        code_challenge: await calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
        ...(from.resource !== undefined && { resource: from.resource }),
        ...request(wanted),
      };
      for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
      const expiresAt = clock.now() + accountLimits.connectTtlMs;
      const pending: PendingAccount = {
        ...{ what: 'account', by: `person:${user}`, state, url: url.href, issuer: as.issuer, redirectUri },
        ...{ provider, agent, user, scopes: wanted, binding: bindingOf(from), verifier },
      };
      await storage.transaction(async (transaction) => {
        await consents.keep(transaction, pending, expiresAt);
        await recordChange(transaction, {
          operation: 'account.connect-begin',
          by: pending.by,
          agent,
          changes: [
            `connecting their account at ${as.issuer} for ${agent} begun (${provider}), scopes: ${wanted.join(' ')}; for ${destinationsOf(from).join(', ')}`,
          ],
        });
      });
      return {
        ...{ url: `${publicUrl}/upstream/connect/${handle}`, issuer: as.issuer, scopes: wanted },
        ...{ destinations: destinationsOf(from), expiresAt },
      };
    },

    async finish(pending, query, cookies) {
      const { provider, agent, user, scopes, state } = pending;
      if (!isSameBrowser(cookies, state, publicUrl.startsWith('https:'))) {
        await storage.transaction((transaction) =>
          recordChange(transaction, {
            operation: 'account.connect-refused',
            by: 'gatehouse',
            agent,
            changes: [`an account at ${pending.issuer}, begun by ${user}, was to be connected in another browser`],
          }),
        );
        throw new GatehouseError(
          'forbidden',
          'upstream.other-browser',
          'This was begun in another browser, so nothing was connected and nothing was fetched. If somebody sent you a link, take back the access that you have just granted. If you began it, connect again and stay in one browser.',
        );
      }
      const { from } = declared(provider);
      if (bindingOf(from) !== pending.binding)
        throw new GatehouseError('conflict', 'upstream.changed', `"${provider}" has changed meanwhile. Connect again.`);
      const { as, web, beyond } = await openPlace(from, outbound, accountLimits);
      const client = await clientOf(deps, from, as);
      let parameters: URLSearchParams;
      try {
        // State, and `iss` (RFC 9207): an answer of another authorization server goes to no token endpoint.
        parameters = validateAuthResponse(as, { client_id: client.id }, query, state);
      } catch (error) {
        throw oauthFailure(as.issuer, error);
      }
      const now = clock.now();
      const token = await requestToken({
        ...{ web, as, client, grantType: 'authorization_code', resource: from.resource },
        parameters: {
          code: parameters.get('code') ?? '',
          redirect_uri: pending.redirectUri ?? publicUrl + FORMER_PATH,
          code_verifier: pending.verifier,
        },
        ...{ scopes, key: undefined, mustBind: false, limits: accountLimits, now },
      });
      const more = beyond(token.scopes, scopes);
      if (more !== undefined)
        throw new GatehouseError(
          'upstream',
          'provider.beyond',
          `${as.issuer} granted more than was asked for (${more.slice(0, 200)}), so that nothing was connected: it adds to what you granted to this client before. Take that back there, or have a client of its own registered for each set of scopes.`,
        );
      if (!token.refreshToken)
        throw new GatehouseError(
          'upstream',
          'account.not-renewable',
          `${as.issuer} gave no refresh token, so that nothing was connected: nobody could end this access, or renew it. Let this client have refresh tokens there (at Slack: token rotation).`,
        );
      const granted = scopes.filter(
        (scope) => token.scopes.length === 0 || beyond([scope], token.scopes) === undefined,
      );
      const refreshToken = token.refreshToken.reveal();
      await storage.transaction(async (transaction) => {
        // Within the same transaction: whoever has left meanwhile connects nothing.
        if (!registry.snapshot().people.has(user))
          throw new GatehouseError('forbidden', 'account.person', `${user} is not here any more.`);
        const id = await store.put(transaction, pending, {
          ...{ binding: pending.binding, source: from, refreshToken, scopes: granted, issuer: as.issuer },
          token: null,
          lifeSeconds: token.expiresAt === null ? null : Math.round((token.expiresAt - now) / 1_000),
        });
        await recordChange(transaction, {
          operation: 'account.connect',
          by: pending.by,
          agent,
          changes: [
            `account ${id}: ${user} lets ${agent} use their account at ${as.issuer} (${provider}), scopes: ${granted.join(' ')}; for ${destinationsOf(from).join(', ')}`,
          ],
        });
      });
      return { provider, agent, user };
    },
  };
}
