import { exportJWK, type JWK } from 'jose';
import type { RegisteredClient } from '../../../credentials/index.ts';
import { type Clock, digestJson, Secret } from '../../../platform/index.ts';
import type { DatabaseTransaction, RecordChange, Sealer, Storage } from '../../../storage/index.ts';
import type { UpstreamLimits } from '../limits.ts';
import { openProofKey } from './proof-key.ts';
import type { AuthorizedTransport, UpstreamToken } from './types.ts';

export interface Place {
  server: string;
  environment: string;
}

/** What an operator's consent gave, as it is kept. */
export interface StoredGrant {
  token: UpstreamToken;
  /** Null for a client that the manifest or our metadata document names. */
  registered: RegisteredClient | undefined;
  binding: string;
  version: number;
  connectedBy: string;
  connectedAt: number;
}

/** Each connection counts its own versions. */
export type GrantVersion = Pick<StoredGrant, 'version' | 'connectedAt'>;

export const isSameGrant = (one: GrantVersion | undefined, other: GrantVersion | undefined): boolean =>
  one?.version === other?.version && one?.connectedAt === other?.connectedAt;

/** Why a person is needed, and what the server asked for when it was found out. */
export interface Need {
  reason: string;
  scopes: string[];
  resourceMetadata: string | undefined;
}

export interface GrantStore {
  read(place: Place): Promise<StoredGrant | undefined>;
  /** After a person's consent. */
  put(transaction: DatabaseTransaction, place: Place, grant: Omit<StoredGrant, 'version'>): Promise<void>;
  /** True for the one replica that may renew this version now. */
  claim(place: Place, grant: GrantVersion): Promise<boolean>;
  /** After a renewal of `grant`. False: another replica has renewed it, or it was disconnected or connected anew, meanwhile. */
  replace(place: Place, grant: StoredGrant, token: UpstreamToken): Promise<boolean>;
  /** What is kept of a place. False: it has another grant than this (or none) by now, and nothing was removed. */
  remove(transaction: DatabaseTransaction, place: Place, grant: GrantVersion | undefined): Promise<boolean>;
  need(place: Place): Promise<(Need & { at: number }) | undefined>;
  /** Unless it has another grant by now than this (or none), which does not do. */
  putNeed(place: Place, need: Need, grant: GrantVersion | undefined): Promise<void>;
  /** The one that was registered with this way back. */
  client(place: Place, redirectUri: string): Promise<RegisteredClient | undefined>;
  putClient(place: Place, at: { issuer: string; redirectUri: string }, client: RegisteredClient): Promise<void>;
}

/** What a grant was given for. Another address, authorization server or client is another matter, and gets nothing of it. */
export function bindingOf({ url, authorization }: AuthorizedTransport): string {
  const { grant, issuer = null, clientId = null } = authorization;
  return digestJson({ url, grant, issuer, clientId });
}

/** What it is for and where it came from is sealed with it: who edits the table sends it nowhere else. The columns are for people. */
interface SealedGrant {
  binding: string;
  issuer: string;
  resource: string;
  clientId: string;
  accessToken: string;
  refreshToken: string | null;
  key: JWK | null;
  client: { id: string; secret: string | null; method: string | null } | null;
}

export function createGrantStore(deps: {
  storage: Storage;
  sealer: Sealer;
  recordChange: RecordChange;
  clock: Clock;
  limits: UpstreamLimits;
}): GrantStore {
  const { storage, sealer, recordChange, clock, limits } = deps;
  const grantContext = (place: Place) => `upstream-grant:${idOf(place)}`;
  const needContext = (place: Place) => `upstream-need:${idOf(place)}`;
  const clientContext = (place: Place, redirectUri: string) => `upstream-client:${idOf(place)}/${redirectUri}`;
  const announce = (transaction: DatabaseTransaction, place: Place) =>
    storage.announce(transaction, 'upstream', idOf(place), clock.now());

  async function columns(
    place: Place,
    { token, registered, binding }: Pick<StoredGrant, 'token' | 'registered' | 'binding'>,
  ) {
    const plain: SealedGrant = {
      binding,
      issuer: token.issuer,
      resource: token.resource,
      clientId: token.clientId,
      accessToken: token.value.reveal(),
      refreshToken: token.refreshToken?.reveal() ?? null,
      key: token.key === undefined ? null : await exportJWK(token.key.privateKey),
      client: registered === undefined ? null : plainClient(registered),
    };
    return {
      issuer: token.issuer,
      resource: token.resource,
      client_id: token.clientId,
      scopes: token.scopes.join(' '),
      bound: Number(token.key !== undefined),
      renewable: Number(token.refreshToken !== undefined),
      sealed: sealer.seal(new Secret(JSON.stringify(plain)), grantContext(place)),
      expires_at: token.expiresAt,
      renewing_until: 0,
    };
  }

  return {
    async read(place) {
      const row = await storage.db
        .selectFrom('upstream_grants')
        .selectAll()
        .where('id', '=', idOf(place))
        .executeTakeFirst();
      if (row === undefined) return undefined;
      const plain = JSON.parse(sealer.open(row.sealed, grantContext(place)).reveal()) as SealedGrant;
      return {
        token: {
          value: new Secret(plain.accessToken),
          refreshToken: plain.refreshToken === null ? undefined : new Secret(plain.refreshToken),
          key: plain.key === null ? undefined : await openProofKey(plain.key),
          issuer: plain.issuer,
          resource: plain.resource,
          clientId: plain.clientId,
          scopes: row.scopes === '' ? [] : row.scopes.split(' '),
          expiresAt: row.expires_at,
        },
        registered: plain.client === null ? undefined : openClient(plain.client),
        binding: plain.binding,
        version: row.version,
        connectedBy: row.connected_by,
        connectedAt: row.connected_at,
      };
    },

    async put(transaction, place, { token, registered, binding, connectedBy, connectedAt }) {
      const written = {
        ...(await columns(place, { token, registered, binding })),
        binding,
        connected_by: connectedBy,
        connected_at: connectedAt,
      };
      await transaction.deleteFrom('upstream_demands').where('id', '=', idOf(place)).execute();
      await transaction
        .insertInto('upstream_grants')
        .values({ id: idOf(place), server: place.server, ...written, version: 1 })
        .onConflict((conflict) =>
          conflict.column('id').doUpdateSet((eb) => ({
            ...written,
            version: eb('upstream_grants.version', '+', 1),
          })),
        )
        .execute();
      await announce(transaction, place);
    },

    claim: (place, { version, connectedAt }) =>
      storage.transaction(async (transaction) => {
        const now = clock.now();
        const { numUpdatedRows } = await transaction
          .updateTable('upstream_grants')
          .set({ renewing_until: now + limits.renewalLeaseMs })
          .where('id', '=', idOf(place))
          .where('version', '=', version)
          .where('connected_at', '=', connectedAt)
          .where('renewing_until', '<', now)
          .executeTakeFirst();
        return numUpdatedRows === 1n;
      }),

    async replace(place, { version, connectedAt, registered, binding }, token) {
      const written = await columns(place, { token, registered, binding });
      return storage.transaction(async (transaction) => {
        const { numUpdatedRows } = await transaction
          .updateTable('upstream_grants')
          .set({ ...written, version: version + 1 })
          .where('id', '=', idOf(place))
          .where('version', '=', version)
          .where('connected_at', '=', connectedAt)
          .executeTakeFirst();
        if (numUpdatedRows !== 1n) return false;
        await recordChange(transaction, {
          operation: 'upstream.token',
          by: 'gatehouse',
          environment: place.environment,
          changes: [`token of ${token.issuer} for the tool server ${place.server} renewed`],
        });
        await announce(transaction, place);
        return true;
      });
    },

    async remove(transaction, place, grant) {
      if (!(await isStill(transaction, place, grant))) return false;
      await transaction.deleteFrom('upstream_grants').where('id', '=', idOf(place)).execute();
      await transaction.deleteFrom('upstream_demands').where('id', '=', idOf(place)).execute();
      await transaction
        .deleteFrom('upstream_clients')
        .where('id', 'like', `${idOf(place)}/%`)
        .execute();
      await announce(transaction, place);
      return true;
    },

    async need(place) {
      const row = await storage.db
        .selectFrom('upstream_demands')
        .select(['sealed', 'at'])
        .where('id', '=', idOf(place))
        .executeTakeFirst();
      if (row === undefined) return undefined;
      return { ...(JSON.parse(sealer.open(row.sealed, needContext(place)).reveal()) as Need), at: row.at };
    },

    async putNeed(place, need, grant) {
      // It says where a person is sent to consent, and to what: nobody who edits the table says so.
      const row = { sealed: sealer.seal(new Secret(JSON.stringify(need)), needContext(place)), at: clock.now() };
      await storage.transaction(async (transaction) => {
        if (!(await isStill(transaction, place, grant))) return;
        await transaction
          .insertInto('upstream_demands')
          .values({ id: idOf(place), server: place.server, ...row })
          .onConflict((conflict) => conflict.column('id').doUpdateSet(row))
          .execute();
      });
    },

    async client(place, redirectUri) {
      const row = await storage.db
        .selectFrom('upstream_clients')
        .select('sealed')
        .where('id', '=', `${idOf(place)}/${redirectUri}`)
        .executeTakeFirst();
      if (row === undefined) return undefined;
      return openClient(JSON.parse(sealer.open(row.sealed, clientContext(place, redirectUri)).reveal()));
    },

    async putClient(place, { issuer, redirectUri }, client) {
      const sealed = sealer.seal(new Secret(JSON.stringify(plainClient(client))), clientContext(place, redirectUri));
      const row = { sealed, created_at: clock.now() };
      await storage.transaction(async (transaction) => {
        await transaction
          .insertInto('upstream_clients')
          .values({ id: `${idOf(place)}/${redirectUri}`, server: place.server, ...row })
          .onConflict((conflict) => conflict.column('id').doUpdateSet(row))
          .execute();
        await recordChange(transaction, {
          operation: 'upstream.register',
          by: 'gatehouse',
          environment: place.environment,
          changes: [`registered as a client with ${issuer}, for the tool server ${place.server}`],
        });
      });
    },
  };
}

async function isStill(
  transaction: DatabaseTransaction,
  place: Place,
  grant: GrantVersion | undefined,
): Promise<boolean> {
  const row = await transaction
    .selectFrom('upstream_grants')
    .select(['version', 'connected_at as connectedAt'])
    .where('id', '=', idOf(place))
    .executeTakeFirst();
  return isSameGrant(row, grant);
}

const idOf = ({ server, environment }: Place): string => `${environment}/${server}`;

const plainClient = ({ id, secret, method }: RegisteredClient): NonNullable<SealedGrant['client']> => ({
  id,
  secret: secret?.reveal() ?? null,
  method: method ?? null,
});

const openClient = ({ id, secret, method }: NonNullable<SealedGrant['client']>): RegisteredClient => ({
  id,
  secret: secret === null ? undefined : new Secret(secret),
  method: method ?? undefined,
});
