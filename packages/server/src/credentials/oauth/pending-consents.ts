import { createHash } from 'node:crypto';
import { type Clock, GatehouseError, Secret } from '../../platform/index.ts';
import type { DatabaseTransaction, Sealer, Storage } from '../../storage/index.ts';
import { stateOf } from './browser-cookie.ts';
import type { OAuthLimits } from './limits.ts';

/** What every consent has between its beginning and the browser's return. */
export interface PendingConsent {
  /** What it is for: a tool server of everybody's, or an account of one's own. */
  what: 'server' | 'account';
  by: string;
  state: string;
  /** The request at the authorization server. */
  url: string;
  issuer: string;
  /** Where the browser has to come back to: the answer of another authorization server comes back elsewhere. Undefined in what began before there was one for each. */
  redirectUri?: string;
}

/** Of consents that began before each authorization server had its own; they last for minutes. */
export const FORMER_PATH = '/upstream/callback';

const digestOf = (state: string) => createHash('sha256').update(state).digest('base64url');
const sealContext = (digest: string) => `upstream-connect:${digest}`;

/** Consents that have begun and wait for a browser; sealed, for they hold the PKCE verifier. Each is good once. */
export function createPendingConsents<T extends PendingConsent>({
  storage,
  sealer,
  clock,
  limits,
}: {
  storage: Storage;
  sealer: Sealer;
  clock: Clock;
  limits: Pick<OAuthLimits, 'pendingConnects'>;
}) {
  function read(row: { sealed: Uint8Array; expires_at: number } | undefined, digest: string): T {
    if (row !== undefined && row.expires_at > clock.now())
      return JSON.parse(sealer.open(row.sealed, sealContext(digest)).reveal()) as T;
    throw new GatehouseError(
      'gone',
      'upstream.state',
      'This way back was used before, is too old, or was never begun. Connect again.',
    );
  }

  return {
    /** In the transaction that records its beginning. */
    async keep(transaction: DatabaseTransaction, pending: T, expiresAt: number): Promise<void> {
      const digest = digestOf(pending.state);
      const sealed = sealer.seal(new Secret(JSON.stringify(pending)), sealContext(digest));
      await transaction.deleteFrom('upstream_connects').where('expires_at', '<', clock.now()).execute();
      const { count } = await transaction
        .selectFrom('upstream_connects')
        .select((eb) => eb.fn.countAll<number>().as('count'))
        .executeTakeFirstOrThrow();
      if (Number(count) >= limits.pendingConnects)
        throw new GatehouseError(
          'too-many',
          'upstream.too-many-connects',
          'Too many connects have begun and wait for a browser. Finish one, or wait.',
        );
      await transaction
        .insertInto('upstream_connects')
        .values({ state_digest: digest, sealed, expires_at: expiresAt })
        .execute();
    },

    /** What was begun with the handle of its address. */
    async opened(handle: string): Promise<T> {
      const digest = digestOf(stateOf(handle));
      const row = await storage.db
        .selectFrom('upstream_connects')
        .selectAll()
        .where('state_digest', '=', digest)
        .executeTakeFirst();
      return read(row, digest);
    },

    /** What was begun with this state, and is taken with it: used up also by an answer at another's way back. */
    async take(state: string, path: string): Promise<T> {
      const digest = digestOf(state);
      const row = await storage.transaction(async (transaction) => {
        const found = await transaction
          .selectFrom('upstream_connects')
          .selectAll()
          .where('state_digest', '=', digest)
          .executeTakeFirst();
        if (found === undefined) return undefined;
        const { numDeletedRows } = await transaction
          .deleteFrom('upstream_connects')
          .where('state_digest', '=', digest)
          .executeTakeFirst();
        return numDeletedRows === 1n ? found : undefined;
      });
      const pending = read(row, digest);
      const expected = pending.redirectUri === undefined ? FORMER_PATH : new URL(pending.redirectUri).pathname;
      if (path === expected) return pending;
      throw new GatehouseError(
        'forbidden',
        'upstream.other-issuer',
        `This is the answer of another authorization server than ${pending.issuer}, so nothing was connected. If you have just granted access somewhere, take it back there.`,
      );
    },
  };
}
