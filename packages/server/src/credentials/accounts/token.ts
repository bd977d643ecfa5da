import { GatehouseError, Secret } from '../../platform/index.ts';
import { NotMade } from '../leases/types.ts';
import { baseOf, endsTokens, openPlace, partOf, requestToken, revokesAll, type UpstreamToken } from '../oauth/index.ts';
import type { AccountsDependencies } from './accounts.ts';
import { clientOf } from './client.ts';
import type { OAuthProvider } from './consent.ts';
import { accountLimits } from './limits.ts';
import { revokeGrant, revokeToken } from './revoke.ts';
import { type AccountRow, type AccountStore, bindingOf, type SealedAccount } from './store.ts';
import type { Accounts, AccountToken, Whose } from './types.ts';

const POLL_MS = 100;

/** Access tokens of accounts: one for each task, of that task's own person, with the scopes that are asked for and no others. */
export function createAccountTokens(
  deps: AccountsDependencies,
  store: AccountStore,
  declared: (name: string) => OAuthProvider,
): Accounts['token'] {
  const { storage, recordChange, outbound, clock, publicUrl, log } = deps;

  /** INVARIANT: only what this person granted to this agent. */
  async function find(whose: Whose, scopes: readonly string[], narrows: boolean, binding: string): Promise<AccountRow> {
    const rows = (await store.of(whose)).filter((row) => store.open(row).binding === binding);
    const text = [...scopes].sort().join(' ');
    const covers = ({ scopes: granted }: AccountRow) => {
      const all = new Set(granted.split(' '));
      return scopes.every((each) => all.has(each));
    };
    const fit = rows.filter((row) => row.scopes === text || (narrows && covers(row)));
    const usable =
      fit.find(({ state, scopes: granted }) => state === 'connected' && granted === text) ??
      fit.find(({ state }) => state === 'connected');
    if (usable) return usable;
    throw needsConsent(whose, scopes, fit[0]?.problem ?? undefined);
  }

  function needsConsent({ provider, agent, user }: Whose, scopes: readonly string[], problem?: string): NotMade {
    const query = new URLSearchParams({ provider, agent, scopes: scopes.join(' ') });
    return new NotMade(
      'forbidden',
      'account.needed',
      `${problem ? `${problem} ` : ''}${user} has to let ${agent} use their account (${provider}: ${scopes.join(' ')}) and call again: ${publicUrl}/accounts?${query}`,
      { extra: { url: `${publicUrl}/accounts?${query}` } },
    );
  }

  async function broken(row: AccountRow): Promise<void> {
    await storage.transaction(async (transaction) => {
      const { numUpdatedRows } = await transaction
        .updateTable('accounts')
        .set({
          state: 'broken',
          problem: 'The other system renews this access no more: it was taken back there, or a renewal was lost.',
          renewing_until: 0,
        })
        .where('id', '=', row.id)
        .where('version', '=', row.version)
        .where('state', '=', 'connected')
        .executeTakeFirst();
      if (numUpdatedRows !== 1n) return;
      await recordChange(transaction, {
        operation: 'account.broken',
        by: 'gatehouse',
        agent: row.agent,
        changes: [
          `account ${row.id} of ${row.user_email} at ${row.issuer} is renewed no more; ${row.user_email} connects it again`,
        ],
      });
    });
  }

  return async function token(whose, scopes, needsUntil) {
    const { from } = declared(whose.provider);
    const place = await openPlace(from, outbound, accountLimits);
    const { as, web, beyond, narrows, shares } = place;
    const binding = bindingOf(from);
    for (const giveUpAt = clock.now() + accountLimits.waitMs; ; ) {
      const row = await find(whose, scopes, narrows, binding);
      const plain = store.open(row);
      if (shares && plain.token && plain.token.expiresAt > needsUntil)
        return {
          ...{ token: new Secret(plain.token.value), expiresAt: plain.token.expiresAt, parts: {} },
          ...{ account: row.id, source: from },
        };
      if (!(await store.claim(row))) {
        if (clock.now() > giveUpAt)
          throw new NotMade(
            'timeout',
            'account.busy',
            'This access is being renewed and did not come in time. Call again.',
          );
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
        continue;
      }
      return renew(row, plain.refreshToken);
    }

    async function renew(row: AccountRow, refreshToken: string): Promise<AccountToken> {
      const now = clock.now();
      let got: UpstreamToken;
      let parts: Record<string, string> = {};
      const part = partOf(from);
      try {
        const client = await clientOf(deps, from, as);
        got = await requestToken({
          ...{ as, client, grantType: 'refresh_token', parameters: { refresh_token: refreshToken } },
          web: part
            ? {
                ...web,
                fetch: async (...call) => {
                  const response = await web.fetch(...call);
                  const value = (
                    (await response
                      .clone()
                      .json()
                      .catch(() => ({}))) as Record<string, unknown>
                  )[part.member];
                  if (typeof value === 'string' && part.isValid(value, baseOf(from))) parts = { [part.name]: value };
                  return response;
                },
              }
            : web,
          resource: from.resource,
          scopes: narrows ? [...scopes] : undefined,
          ...{ key: undefined, mustBind: false, limits: accountLimits, now },
        });
      } catch (error) {
        if (isRefusal(error, 'invalid_grant')) {
          await broken(row);
          throw needsConsent(whose, scopes, `${as.issuer} renews the access no more.`);
        }
        await store.release(row);
        if (isRefusal(error)) throw new NotMade('upstream', 'provider.refused', (error as Error).message);
        throw error;
      }
      const expiresAt = got.expiresAt ?? now + accountLimits.usualTokenSeconds * 1_000;
      const seconds = Math.round((expiresAt - now) / 1_000);
      const renewed: SealedAccount = {
        binding,
        source: from,
        // Rotated, or the same for the next time (RFC 6749 §6).
        refreshToken: got.refreshToken?.reveal() ?? refreshToken,
        token: shares ? { value: got.value.reveal(), expiresAt } : null,
      };
      const outcome = await store.renewed(row, renewed, seconds);
      const kept = outcome === 'kept';
      const more = beyond(got.scopes, scopes);
      const isTooLong = !endsTokens(from) && seconds > accountLimits.tokenSeconds;
      const needsParts = part !== undefined && parts[part.name] === undefined;
      if (kept && more === undefined && !isTooLong && !needsParts)
        return { token: got.value, expiresAt, parts, account: row.id, source: from };
      if (outcome === 'gone') await revokeUnkept(row, renewed);
      else if (kept && endsTokens(from)) await revokeToken(deps, from, place, got.value, 'access_token');
      const why = !kept
        ? 'this account was disconnected meanwhile'
        : more !== undefined
          ? `${as.issuer} gave more than was asked for (${more.slice(0, 200)})`
          : needsParts
            ? `${as.issuer} names no instance of its own`
            : `${as.issuer} gave a token that lives for ${seconds} s, and that nobody can end`;
      const Failure = !kept || endsTokens(from) ? NotMade : GatehouseError;
      throw new Failure(
        'upstream',
        more === undefined ? 'provider.refused' : 'provider.beyond',
        `No token is used: ${why}.`,
      );
    }

    async function revokeUnkept(row: AccountRow, renewed: SealedAccount): Promise<void> {
      // Connected again meanwhile: it would take that back as well.
      if (revokesAll(from) && (await store.of(whose)).length > 0) return;
      await revokeGrant(deps, from, place, renewed).catch((error) =>
        log.warn('an account that was disconnected meanwhile was not revoked', { account: row.id, error }),
      );
    }
  };
}

export const isRefusal = (error: unknown, code = '[\\w .-]+') =>
  error instanceof GatehouseError && new RegExp(` refuses: ${code}\\.$`).test(error.message);
