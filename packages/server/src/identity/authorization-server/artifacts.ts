import { type Adapter, type AdapterPayload, errors, Provider } from 'oidc-provider';
import type { Clock } from '../../platform/index.ts';
import type { DatabaseTransaction, Storage, Tables } from '../../storage/index.ts';
import { artifactKey } from './artifact-key.ts';
import type { UnfinishedRequests } from './unfinished-requests.ts';

/**
 * What oidc-provider keeps between two requests, in `oauth_artifacts`. Whoever reads the table cannot use what stands there: rows
 * are found by the SHA-256 of their ids, and the ids are the codes and tokens.
 */
export interface ArtifactDependencies {
  storage: Storage;
  clock: Clock;
  unfinished: UnfinishedRequests;
  /** A family was revoked (a code or refresh token came twice, or its client gave it back): its task ends in the same transaction. */
  onGrantRevoked(transaction: DatabaseTransaction, payload: AdapterPayload): Promise<void>;
}

const kept = new Set([
  'Interaction',
  'Grant',
  'AuthorizationCode',
  'RefreshToken',
  'DeviceCode',
  'BackchannelAuthenticationRequest',
  'PushedAuthorizationRequest',
]);
/** Made by the library on the way, and used for nothing: our own access tokens take their place, and people have our sessions. */
const unused = new Set(['AccessToken', 'Session']);

/** Where whoever reaches the server can make rows. */
const begunByAnybody = new Set([
  'Interaction',
  'DeviceCode',
  'BackchannelAuthenticationRequest',
  'PushedAuthorizationRequest',
]);

type Row = Tables['oauth_artifacts'];

/** Undefined for models that the library may not store. */
export function artifactAdapter(model: string, dependencies: ArtifactDependencies): Adapter | undefined {
  if (unused.has(model)) return nothing;
  if (!kept.has(model)) return undefined;
  const { storage, clock, unfinished, onGrantRevoked } = dependencies;
  const { db } = storage;
  const rows = () => db.selectFrom('oauth_artifacts').selectAll().where('model', '=', model);

  const read = (row: Row | undefined, id?: string): AdapterPayload | undefined => {
    if (!row) return undefined;
    const payload = JSON.parse(row.payload) as AdapterPayload;
    if (id !== undefined) payload.jti = id;
    if (row.consumed_at !== null) payload.consumed = Math.floor(row.consumed_at / 1000);
    // By our clock, whatever the library's says.
    if ((row.expires_at ?? 0) <= clock.now()) payload.exp = 1;
    return payload;
  };

  const destroyFamily = async (grantId: string) => {
    const isEnded = await storage.transaction(async (transaction) => {
      const grant = await transaction
        .deleteFrom('oauth_artifacts')
        .where('model', '=', 'Grant')
        .where('id', '=', artifactKey(grantId))
        .returning('payload')
        .executeTakeFirst();
      await transaction.deleteFrom('oauth_artifacts').where('grant_id', '=', grantId).execute();
      if (grant) await onGrantRevoked(transaction, JSON.parse(grant.payload) as AdapterPayload);
      return grant !== undefined;
    });
    // Whoever gave it back is told so when no replica takes its tokens any more.
    if (isEnded) await storage.feed.waitForAll(await storage.feed.head());
  };

  return {
    async find(id) {
      return read(await rows().where('id', '=', artifactKey(id)).executeTakeFirst(), id);
    },
    async findByUid(uid) {
      return read(await rows().where('uid', '=', uid).executeTakeFirst());
    },
    async findByUserCode(userCode) {
      return read(await rows().where('user_code', '=', userCode).executeTakeFirst());
    },
    async upsert(id, { jti: _, consumed: __, ...payload }, expiresInSeconds = 0) {
      // Proofs are checked by us, against the key in the consent; the library sees none, and would refuse every code with a key.
      if (model === 'AuthorizationCode') delete payload.dpopJkt;
      const row = {
        payload: JSON.stringify(payload),
        expires_at: clock.now() + expiresInSeconds * 1000,
        // Who was asked out of band finds it by this.
        uid: payload.uid ?? (model === 'BackchannelAuthenticationRequest' ? (payload.accountId ?? null) : null),
        grant_id: payload.grantId ?? null,
        user_code: payload.userCode ?? null,
      };
      const key = artifactKey(id);
      const tooMany = begunByAnybody.has(model)
        ? unfinished.add(Provider.ctx?.oidc.client?.clientId ?? '', key, row.expires_at)
        : [];
      await storage.transaction(async (transaction) => {
        if (tooMany.length > 0) await transaction.deleteFrom('oauth_artifacts').where('id', 'in', tooMany).execute();
        await transaction
          .insertInto('oauth_artifacts')
          .values({ model, id: key, consumed_at: null, ...row })
          .onConflict((conflict) => conflict.columns(['model', 'id']).doUpdateSet(row))
          .execute();
      });
    },
    /** The library looks first and consumes later; of two requests at once only one may find it unused. */
    async consume(id) {
      const used = await storage.transaction((transaction) =>
        transaction
          .updateTable('oauth_artifacts')
          .set({ consumed_at: clock.now() })
          .where('model', '=', model)
          .where('id', '=', artifactKey(id))
          .where('consumed_at', 'is', null)
          .returning('id')
          .executeTakeFirst(),
      );
      unfinished.remove(artifactKey(id));
      if (used) return;
      const again = await rows().where('id', '=', artifactKey(id)).executeTakeFirst();
      if (again?.grant_id) await destroyFamily(again.grant_id);
      throw new errors.InvalidGrant(`the ${words[model] ?? model} was used before`);
    },
    async destroy(id) {
      if (model === 'Grant') return destroyFamily(id);
      unfinished.remove(artifactKey(id));
      await storage.transaction((transaction) =>
        transaction
          .deleteFrom('oauth_artifacts')
          .where('model', '=', model)
          .where('id', '=', artifactKey(id))
          .execute(),
      );
    },
    async revokeByGrantId(grantId) {
      await storage.transaction((transaction) =>
        transaction.deleteFrom('oauth_artifacts').where('model', '=', model).where('grant_id', '=', grantId).execute(),
      );
    },
  };
}

const words: Record<string, string> = {
  AuthorizationCode: 'authorization code',
  RefreshToken: 'refresh token',
  DeviceCode: 'device code',
  BackchannelAuthenticationRequest: 'auth_req_id',
  PushedAuthorizationRequest: 'request_uri',
};

const done = async () => undefined;
const nothing: Adapter = {
  find: done,
  findByUid: done,
  findByUserCode: done,
  upsert: done,
  consume: done,
  destroy: done,
  revokeByGrantId: done,
};
