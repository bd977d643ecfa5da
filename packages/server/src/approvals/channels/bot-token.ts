import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose';
import { GatehouseError, isJsonObject, type Outbound } from '../../platform/index.ts';

/** Clocks may differ by so much (Bot Framework, "Authentication"). */
const SKEW_SECONDS = 300;
const KEYS_TTL_MS = 6 * 3_600_000;
const ISSUER = 'https://api.botframework.com';

interface Keys {
  at: number;
  set: JSONWebKeySet;
}

/**
 * Verifies the token that the Bot Framework's connector sends with each activity: signed with a key of its metadata that is endorsed for the channel,
 * issued by it for this bot, now, and for the service that the activity names.
 */
export function createBotTokens({
  fetchJson,
  metadataUrl,
}: {
  fetchJson: (url: string) => ReturnType<Outbound['fetchJson']>;
  metadataUrl: string;
}) {
  let keys: Keys | undefined;

  async function keysNow(now: number, refresh: boolean): Promise<Keys> {
    if (keys && now - keys.at < (refresh ? 60_000 : KEYS_TTL_MS)) return keys;
    const { json: metadata } = await fetchJson(metadataUrl);
    const address = isJsonObject(metadata) ? metadata.jwks_uri : undefined;
    if (typeof address !== 'string')
      throw new GatehouseError('upstream', 'teams.metadata', 'The metadata has no keys.');
    const { json } = await fetchJson(address);
    keys = { at: now, set: json as unknown as Keys['set'] };
    return keys;
  }

  return async (
    authorization: string | undefined,
    of: { appId: string; channelId: string; serviceUrl: string; now: number },
  ): Promise<{ token: string; claims: Record<string, unknown> }> => {
    const token = /^Bearer ([\w-]+\.[\w-]+\.[\w-]+)$/.exec(authorization ?? '')?.[1];
    if (token === undefined) throw refused('A token of the Bot Framework is needed.');
    const verify = async (refresh: boolean) => {
      const { set } = await keysNow(of.now, refresh);
      return jwtVerify(token, createLocalJWKSet(set), {
        issuer: ISSUER,
        audience: of.appId,
        algorithms: ['RS256'],
        clockTolerance: SKEW_SECONDS,
        currentDate: new Date(of.now),
        requiredClaims: ['exp', 'serviceurl'],
      });
    };
    // A key that is not known may be new.
    const verified = await verify(false)
      .catch((error: { code?: string }) => {
        if (error.code === 'ERR_JWKS_NO_MATCHING_KEY') return verify(true);
        throw error;
      })
      .catch((cause: Error) => {
        if (cause instanceof GatehouseError) throw cause;
        throw refused(`The token is refused: ${cause.message}.`, cause);
      });
    const { payload, protectedHeader } = verified;
    if (payload.serviceurl !== of.serviceUrl) throw refused('The token is for another service.');
    const key = keys?.set.keys.find(({ kid }) => kid === protectedHeader.kid);
    const { endorsements } = (key ?? {}) as { endorsements?: unknown };
    if (!Array.isArray(endorsements) || !endorsements.includes(of.channelId))
      throw refused('The key of the token is not for this channel.');
    return { token, claims: payload };
  };
}

const refused = (detail: string, cause?: unknown) =>
  new GatehouseError('unauthenticated', 'teams.token', detail, cause === undefined ? {} : { cause });
