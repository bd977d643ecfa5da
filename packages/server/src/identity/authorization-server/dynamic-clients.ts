import { randomBytes } from 'node:crypto';
import type { Configuration, Provider } from 'oidc-provider';
import { type Clock, isJsonObject, type Json, type JsonObject } from '../../platform/index.ts';
import type { Storage } from '../../storage/index.ts';
import { artifactKey } from './artifact-key.ts';
import { asClient } from './client-metadata.ts';
import { authorizationLimits } from './limits.ts';
import { oauthError } from './oauth-error.ts';
import { DYNAMIC_CLIENT, MODEL } from './used-client.ts';

/**
 * Dynamic registration (RFC 7591), off unless the operator turns it on. Whoever reaches the server may register, so that a client
 * registered this way is worth nothing until a person consents to it; those that nobody consents to are forgotten within a day, and
 * of too many the oldest go.
 */
const { dynamicClients: MOST_CLIENTS, clientMetadataChars: METADATA_CHARS } = authorizationLimits;

export function registrationFeature(enabled: boolean): NonNullable<Configuration['features']>['registration'] {
  return {
    enabled,
    initialAccessToken: false,
    issueRegistrationAccessToken: false,
    idFactory: () => `dyn-${randomBytes(16).toString('hex')}`,
  };
}

/**
 * There are no scopes here. A client that names some when it registers is let in without them (RFC 7591 section 2: the server may
 * replace what was asked for), where the library would refuse it.
 */
export function ignoreRegisteredScopes(provider: Provider): void {
  const { Schema } = provider.Client as unknown as { Schema: { prototype: { scopes(): void; scope?: string } } };
  Schema.prototype.scopes = function () {
    delete this.scope;
  };
}

/** Kept without what a client may not claim; the answer to the registration says what it got. */
export async function keepDynamicClient(
  { storage, clock }: { storage: Storage; clock: Clock },
  id: string,
  metadata: Json,
): Promise<void> {
  if (!DYNAMIC_CLIENT.test(id) || !isJsonObject(metadata)) throw new Error(`${id} is not registered dynamically`);
  const payload = JSON.stringify(asClient(metadata));
  if (payload.length > METADATA_CHARS)
    throw oauthError('invalid_client_metadata', `Client metadata has at most ${METADATA_CHARS} characters.`);
  await storage.transaction(async (transaction) => {
    const surplus = await transaction
      .selectFrom('oauth_artifacts')
      .select('id')
      .where('model', '=', MODEL)
      .orderBy('expires_at', 'desc')
      .offset(MOST_CLIENTS - 1)
      .limit(100)
      .execute();
    if (surplus.length > 0)
      await transaction
        .deleteFrom('oauth_artifacts')
        .where('model', '=', MODEL)
        .where(
          'id',
          'in',
          surplus.map((row) => row.id),
        )
        .execute();
    await transaction
      .insertInto('oauth_artifacts')
      .values({
        model: MODEL,
        id: artifactKey(id),
        payload,
        expires_at: clock.now() + authorizationLimits.unusedClientTtlSeconds * 1000,
        consumed_at: null,
        uid: null,
        grant_id: null,
        user_code: null,
      })
      .execute();
  });
}

export async function findDynamicClient(
  { storage, clock }: { storage: Storage; clock: Clock },
  id: string,
): Promise<JsonObject | undefined> {
  if (!DYNAMIC_CLIENT.test(id)) return undefined;
  const row = await storage.db
    .selectFrom('oauth_artifacts')
    .select('payload')
    .where('model', '=', MODEL)
    .where('id', '=', artifactKey(id))
    .where('expires_at', '>', clock.now())
    .executeTakeFirst();
  return row && (JSON.parse(row.payload) as JsonObject);
}
