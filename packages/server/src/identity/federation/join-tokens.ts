import { createHash, randomBytes } from 'node:crypto';
import { BlockList, isIP } from 'node:net';
import type { JoinTokenView } from '@gatehouse/protocol';
import { type Clock, GatehouseError, newId } from '../../platform/index.ts';
import type { DatabaseTransaction, RecordChange, Storage, Tables } from '../../storage/index.ts';
import { federationLimits } from './limits.ts';

interface Dependencies {
  storage: Storage;
  recordChange: RecordChange;
  clock: Clock;
}

const PREFIX = 'gjt_';

/** A one-time token with which an agent enrols a key where nothing else vouches for it. Shown once; a digest is kept. */
export async function createJoinToken(
  { storage, recordChange, clock }: Dependencies,
  { agent, addresses, ttlSeconds, by }: { agent: string; addresses: string[]; ttlSeconds: number; by: string },
): Promise<JoinTokenView & { token: string }> {
  for (const range of addresses) rangesOf([range]);
  const now = clock.now();
  const token = PREFIX + randomBytes(32).toString('base64url');
  const row: Tables['join_tokens'] = {
    id: newId('inv', now),
    token_digest: digestOf(token),
    agent,
    addresses: JSON.stringify(addresses),
    created_by: by,
    created_at: now,
    expires_at: now + ttlSeconds * 1000,
    used_at: null,
  };
  await storage.transaction(async (transaction) => {
    const known = await transaction
      .selectFrom('agents')
      .select(['environment', 'state'])
      .where('name', '=', agent)
      .executeTakeFirst();
    if (known?.state !== 'active' && known?.state !== 'draft')
      throw new GatehouseError(
        'conflict',
        'join-token.agent',
        `The agent "${agent}" is ${known?.state ?? 'unknown'} and enrols no key.`,
      );
    const open = await transaction
      .selectFrom('join_tokens')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .where('agent', '=', agent)
      .where('used_at', 'is', null)
      .where('expires_at', '>', now)
      .executeTakeFirstOrThrow();
    if (Number(open.count) >= federationLimits.openJoinTokensPerAgent)
      throw new GatehouseError(
        'too-many',
        'join-token.too-many',
        `The agent "${agent}" has ${open.count} unused join tokens. Revoke some.`,
      );
    await transaction
      .deleteFrom('join_tokens')
      .where('expires_at', '<', now - 30 * 86_400_000)
      .execute();
    await transaction.insertInto('join_tokens').values(row).execute();
    const from = addresses.length > 0 ? `, from ${addresses.join(', ')}` : '';
    await recordChange(transaction, {
      operation: 'join-token.create',
      by,
      agent,
      environment: known.environment,
      changes: [`join token ${row.id} until ${new Date(row.expires_at).toISOString()}${from}`],
    });
  });
  return { ...viewOf(row), token };
}

export async function listJoinTokens(
  { storage }: Pick<Dependencies, 'storage'>,
  agent: string,
): Promise<JoinTokenView[]> {
  const rows = await storage.db
    .selectFrom('join_tokens')
    .selectAll()
    .where('agent', '=', agent)
    .orderBy('created_at', 'desc')
    .limit(200)
    .execute();
  return rows.map(viewOf);
}

export async function revokeJoinToken(
  { storage, recordChange }: Dependencies,
  agent: string,
  id: string,
  by: string,
): Promise<void> {
  await storage.transaction(async (transaction) => {
    const { numDeletedRows } = await transaction
      .deleteFrom('join_tokens')
      .where('id', '=', id)
      .where('agent', '=', agent)
      .where('used_at', 'is', null)
      .executeTakeFirstOrThrow();
    if (numDeletedRows === 0n)
      throw new GatehouseError(
        'not-found',
        'join-token.unknown',
        `The agent "${agent}" has no unused join token ${id.slice(0, 64)}.`,
      );
    await recordChange(transaction, {
      operation: 'join-token.revoke',
      by,
      agent,
      changes: [`join token ${id} revoked`],
    });
  });
}

/** All open ones of an agent; or of an owner's agents, with those that this person made for any agent. Part of a transaction; gives how many. */
export async function revokeJoinTokensOf(
  { recordChange }: Pick<Dependencies, 'recordChange'>,
  transaction: DatabaseTransaction,
  of: { agent: string } | { owner: string },
  by: string,
): Promise<number> {
  const gone = await transaction
    .deleteFrom('join_tokens')
    .where('used_at', 'is', null)
    .where((where) =>
      'agent' in of
        ? where('agent', '=', of.agent)
        : where.or([
            where('created_by', '=', `person:${of.owner}`),
            where('agent', 'in', transaction.selectFrom('agents').select('name').where('owner', '=', of.owner)),
          ]),
    )
    .returning(['id', 'agent'])
    .execute();
  const records = [...Map.groupBy(gone, ({ agent }) => agent)].map(([agent, tokens]) => ({
    operation: 'join-token.revoke',
    by,
    agent,
    changes: tokens.map(({ id }) => `join token ${id} revoked`),
  }));
  if (records.length > 0) await recordChange(transaction, ...records);
  return gone.length;
}

/** The agent that the token is for. Every reason to refuse one reads the same to who presents it. */
export async function agentOfJoinToken(
  { storage, clock }: Pick<Dependencies, 'storage' | 'clock'>,
  token: string,
  address: string,
) {
  const row = await storage.db
    .selectFrom('join_tokens')
    .selectAll()
    .where('token_digest', '=', digestOf(token))
    .executeTakeFirst();
  if (!row || row.used_at !== null || row.expires_at <= clock.now() || !isAllowed(row.addresses, address))
    throw refused();
  return { id: row.id, agent: row.agent };
}

/** Part of the enrolment: of two with one token, one finds it unused. */
export async function useJoinToken(transaction: DatabaseTransaction, id: string, now: number): Promise<void> {
  const { numUpdatedRows } = await transaction
    .updateTable('join_tokens')
    .set({ used_at: now })
    .where('id', '=', id)
    .where('used_at', 'is', null)
    .where('expires_at', '>', now)
    .executeTakeFirstOrThrow();
  if (numUpdatedRows !== 1n) throw refused();
}

const digestOf = (token: string): string => createHash('sha256').update(token).digest('base64url');

function isAllowed(stored: string, address: string): boolean {
  const addresses = JSON.parse(stored) as string[];
  if (addresses.length === 0) return true;
  const plain = address.startsWith('::ffff:') && isIP(address.slice(7)) === 4 ? address.slice(7) : address;
  const family = isIP(plain);
  return family !== 0 && rangesOf(addresses).check(plain, family === 4 ? 'ipv4' : 'ipv6');
}

function rangesOf(addresses: string[]): BlockList {
  const list = new BlockList();
  for (const text of addresses) {
    const [address = '', prefix, ...rest] = text.split('/');
    const family = isIP(address);
    const longest = family === 4 ? 32 : 128;
    const bits = prefix === undefined ? longest : Number(prefix);
    if (family === 0 || rest.length > 0 || !/^\d*$/.test(prefix ?? '') || prefix === '' || bits > longest)
      throw new GatehouseError(
        'bad-request',
        'join-token.address',
        `"${text.slice(0, 64)}" is no address or range: write 192.0.2.7 or 192.0.2.0/24.`,
      );
    list.addSubnet(address, bits, family === 4 ? 'ipv4' : 'ipv6');
  }
  return list;
}

const viewOf = (row: Tables['join_tokens']): JoinTokenView => ({
  id: row.id,
  agent: row.agent,
  addresses: JSON.parse(row.addresses) as string[],
  createdBy: row.created_by,
  createdAt: row.created_at,
  expiresAt: row.expires_at,
  usedAt: row.used_at,
});

const refused = () =>
  new GatehouseError(
    'forbidden',
    'join-token.refused',
    'The join token is not taken: it is unknown, used or expired, or is not for this address. Ask for a new one: gatehouse agent join-token NAME.',
  );
