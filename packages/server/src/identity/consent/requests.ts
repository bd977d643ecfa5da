import type { ConsentKind, ConsentWish, TaskDetails } from '@gatehouse/protocol';
import { GatehouseError } from '../../platform/index.ts';
import type { Database, DatabaseTransaction, Tables } from '../../storage/index.ts';
import { artifactKey } from '../authorization-server/artifact-key.ts';
import { InvalidTaskRequest, parseTaskRequest } from '../authorization-server/task-request.ts';

/** What waits for a person's answer, whichever way it came: an artifact of the authorization server. */
export interface ConsentRequest {
  id: string;
  kind: ConsentKind;
  /** `uid` of a browser's request; null for the others. */
  uid: string | null;
  clientId: string;
  /** For whom it was asked (CIBA); null where whoever is signed in answers. */
  person: string | null;
  resources: string[];
  redirectUri: string | null;
  bindingMessage: string | null;
  userCode: string | null;
  wish: ConsentWish | null;
  dpopKey: string | null;
  createdAt: number;
  expiresAt: number;
  isAnswered: boolean;
  row: Tables['oauth_artifacts'];
  payload: Record<string, unknown>;
}

const models = {
  browser: 'Interaction',
  device: 'DeviceCode',
  backchannel: 'BackchannelAuthenticationRequest',
} as const;

export async function findRequest(
  database: Database | DatabaseTransaction,
  id: string,
  now: number,
): Promise<ConsentRequest> {
  const [, kind, key] = /^(browser|device|backchannel)-([A-Za-z0-9_-]{1,100})$/.exec(id) ?? [];
  const query = database
    .selectFrom('oauth_artifacts')
    .selectAll()
    .where('model', '=', models[kind as ConsentKind] ?? '');
  const row = await {
    browser: () => query.where('id', '=', artifactKey(key as string)),
    device: () => query.where('user_code', '=', normalUserCode(key as string)),
    backchannel: () => query.where('id', '=', key as string),
    none: () => undefined,
  }
    [(kind as ConsentKind | undefined) ?? 'none']()
    ?.executeTakeFirst();
  if (!row || (row.expires_at ?? 0) <= now) throw unknown();
  return toRequest(row, kind as ConsentKind, kind === 'browser' ? (key as string) : null);
}

/** Those asked of this person out of band that nobody has answered, newest first. */
export async function requestsOf(database: Database, person: string, now: number): Promise<ConsentRequest[]> {
  const rows = await database
    .selectFrom('oauth_artifacts')
    .selectAll()
    .where('model', '=', models.backchannel)
    .where('uid', '=', person)
    .where('expires_at', '>', now)
    .limit(200)
    .execute();
  return rows
    .map((row) => toRequest(row, 'backchannel', null))
    .filter(({ isAnswered }) => !isAnswered)
    .sort((a, b) => b.createdAt - a.createdAt);
}

const normalUserCode = (typed: string) => typed.toUpperCase().replaceAll(/[^A-Z0-9]/g, '');

export function unknown(): GatehouseError {
  return new GatehouseError(
    'not-found',
    'consent.unknown',
    'There is no such request, or its time is over. Begin again in the application that sent you here.',
  );
}

function toRequest(row: Tables['oauth_artifacts'], kind: ConsentKind, uid: string | null): ConsentRequest {
  const payload = JSON.parse(row.payload) as Record<string, unknown>;
  const params = (payload.params ?? {}) as Record<string, string | string[] | undefined>;
  const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : null);
  const clientId = kind === 'browser' ? text(params.client_id) : text(payload.clientId);
  const isAnswered = {
    browser: payload.result !== undefined,
    device: payload.accountId !== undefined || payload.error !== undefined,
    backchannel: payload.grantId !== undefined || payload.error !== undefined,
  }[kind];
  return {
    id: `${kind}-${{ browser: uid, device: row.user_code, backchannel: row.id }[kind]}`,
    kind,
    uid,
    clientId: clientId ?? '',
    person: kind === 'backchannel' ? text(payload.accountId) : null,
    resources: [payload.resource ?? params.resource ?? []].flat() as string[],
    redirectUri: kind === 'browser' ? text(params.redirect_uri) : null,
    bindingMessage: kind === 'backchannel' ? text(params.binding_message) : null,
    userCode: kind === 'device' ? text(row.user_code) : null,
    wish: wishOf(text(params.authorization_details)),
    dpopKey: text(params.dpop_jkt),
    createdAt: Number(payload.iat ?? 0) * 1000,
    expiresAt: row.expires_at ?? 0,
    isAnswered,
    row,
    payload,
  };
}

/** It was checked when it came; a task that runs already cannot be consented to. */
function wishOf(details: string | null): ConsentWish | null {
  if (details === null) return null;
  try {
    const wish: TaskDetails = parseTaskRequest(details);
    if ('task' in wish) return null;
    const { template, parameters, intent, tools = null } = wish;
    return { template, parameters, intent, tools };
  } catch (error) {
    if (error instanceof InvalidTaskRequest) return null;
    throw error;
  }
}
