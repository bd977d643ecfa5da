import type { TrustIssuer } from '@gatehouse/protocol';
import type { JWK } from 'jose';
import {
  type Clock,
  canonicalJson,
  GatehouseError,
  isJsonObject,
  type Json,
  type Log,
  type Outbound,
  sha256Hex,
} from '../../platform/index.ts';
import { issuerUrlOf } from '../../registry/index.ts';
import type { Storage } from '../../storage/index.ts';
import { federationLimits } from './limits.ts';

type OidcIssuer = Extract<TrustIssuer, { type: 'oidc' }>;

export interface IssuerKeys {
  /**
   * The issuer's public keys. Asks the issuer where what is known is old or lacks `keyId`; goes on with what is known, for a bounded time,
   * where the issuer does not answer. Throws `upstream` GatehouseErrors (`issuer.*`, `outbound.*`).
   */
  of(issuer: OidcIssuer, keyId?: string): Promise<readonly JWK[]>;
}

interface Known {
  keys: JWK[];
  fetchedAt: number;
}

/** Issuers that rules name; the oldest goes. */
const MAX_ISSUERS = 1_000;

/**
 * Discovery (OpenID Connect Discovery 1.0 §4) and key sets (RFC 7517), in memory and in the database, so that neither an issuer's outage
 * nor a restart during it locks anybody out. Only issuers that a rule names are ever asked.
 */
export function createIssuerKeys({
  outbound,
  storage,
  clock,
  log,
}: {
  outbound: Outbound;
  storage: Storage;
  clock: Clock;
  log: Log;
}): IssuerKeys {
  const known = new Map<string, Known>();
  const triedAt = new Map<string, number>();
  const running = new Map<string, Promise<Known>>();

  const remember = (id: string, keys: Known): Known => {
    known.delete(id);
    known.set(id, keys);
    if (known.size > MAX_ISSUERS) known.delete(known.keys().next().value as string);
    return keys;
  };

  const stored = async (id: string): Promise<Known | undefined> => {
    const row = await storage.db.selectFrom('issuer_keys').selectAll().where('id', '=', id).executeTakeFirst();
    return row && remember(id, { keys: JSON.parse(row.jwks) as JWK[], fetchedAt: row.fetched_at });
  };

  const fetchAndStore = async (id: string, url: string, issuer: OidcIssuer): Promise<Known> => {
    const keys = await fetchKeys(outbound, url, issuer);
    const fetched = remember(id, { keys, fetchedAt: clock.now() });
    const row = { issuer: url, jwks: JSON.stringify(keys), fetched_at: fetched.fetchedAt };
    await storage.db
      .insertInto('issuer_keys')
      .values({ id, ...row })
      .onConflict((conflict) => conflict.column('id').doUpdateSet(row))
      .execute()
      .catch((error: unknown) =>
        log.warn('the keys of an issuer were not kept for its outage', { issuer: url, error }),
      );
    return fetched;
  };

  /** Those who ask at once share one request. */
  const refresh = (id: string, url: string, issuer: OidcIssuer): Promise<Known> => {
    const under = running.get(id);
    if (under) return under;
    triedAt.set(id, clock.now());
    const fetching = fetchAndStore(id, url, issuer).finally(() => running.delete(id));
    running.set(id, fetching);
    return fetching;
  };

  return {
    async of(issuer, keyId) {
      if (issuer.jwks) return usableKeys(issuer.jwks.keys as Json[]);
      const url = issuerUrlOf(issuer) ?? '';
      // Whoever may name other certificates or addresses for it has keys of its own.
      const id = sha256Hex(canonicalJson([url, issuer.ca ?? null, issuer.allowPrivateAddress]));
      const now = clock.now();
      const have = known.get(id) ?? (await stored(id));
      const isFresh = have !== undefined && now - have.fetchedAt < federationLimits.keysFreshMs;
      const isKnown = keyId === undefined || have?.keys.some(({ kid }) => kid === keyId);
      if (isFresh && isKnown) return have.keys;
      const mayAsk =
        running.has(id) || now - (triedAt.get(id) ?? Number.NEGATIVE_INFINITY) >= federationLimits.refetchMs;
      if (!mayAsk && have && now - have.fetchedAt < federationLimits.keysStaleMs) return have.keys;
      if (!mayAsk) throw unavailable(url);
      try {
        return (await refresh(id, url, issuer)).keys;
      } catch (error) {
        if (!have || now - have.fetchedAt >= federationLimits.keysStaleMs) throw error;
        const ageMinutes = Math.round((now - have.fetchedAt) / 60_000);
        log.warn('an issuer does not answer; its last keys are used', { issuer: url, ageMinutes, error });
        return have.keys;
      }
    },
  };
}

async function fetchKeys(outbound: Outbound, url: string, issuer: OidcIssuer): Promise<JWK[]> {
  const options = {
    maxBytes: federationLimits.documentBytes,
    allowPrivateAddress: issuer.allowPrivateAddress,
    ...(issuer.ca !== undefined && { ca: issuer.ca }),
  };
  const { json: document } = await outbound.fetchJson(
    `${url.replace(/\/$/, '')}/.well-known/openid-configuration`,
    options,
  );
  if (!isJsonObject(document) || document.issuer !== url)
    throw upstream(
      'issuer.other',
      `${url} says that it is another issuer. Write the rule's url exactly as in its document.`,
    );
  if (typeof document.jwks_uri !== 'string') throw upstream('issuer.no-keys', `${url} names no jwks_uri.`);
  const { json: set } = await outbound.fetchJson(document.jwks_uri, options);
  const keys = isJsonObject(set) ? set.keys : undefined;
  if (!Array.isArray(keys)) throw upstream('issuer.no-keys', `What ${url} names as its jwks_uri is no key set.`);
  if (keys.length > federationLimits.keysPerIssuer)
    throw upstream(
      'issuer.too-many-keys',
      `${url} has ${keys.length} keys; ${federationLimits.keysPerIssuer} are the most that are read.`,
    );
  return usableKeys(keys);
}

/** Public signing keys alone. A secret or private key in a public place proves nothing. */
function usableKeys(keys: readonly Json[]): JWK[] {
  return keys.filter(
    (key): key is JWK & { [name: string]: Json } =>
      isJsonObject(key) &&
      ['RSA', 'EC', 'OKP'].includes(String(key.kty)) &&
      (key.use === undefined || key.use === 'sig') &&
      !['d', 'p', 'q', 'k', 'priv'].some((member) => Object.hasOwn(key, member)) &&
      (key.kid === undefined || typeof key.kid === 'string') &&
      (key.alg === undefined || typeof key.alg === 'string'),
  );
}

const upstream = (code: string, detail: string) => new GatehouseError('upstream', code, detail);

const unavailable = (url: string) =>
  new GatehouseError(
    'unavailable',
    'issuer.unavailable',
    `The keys of ${url} could not be fetched just now, and are asked for again in ${federationLimits.refetchMs / 1000} s. Try again then.`,
  );
