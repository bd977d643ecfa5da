import { createPublicKey } from 'node:crypto';
import type { NewPushSubscription, PushSubscriptionView } from '@gatehouse/protocol';
import { type Clock, constantTimeEqual, GatehouseError, newId, Secret, sha256Hex } from '../../platform/index.ts';
import type { DatabaseTransaction, RecordChange, Sealer, Storage, Tables } from '../../storage/index.ts';
import { pushLimits as limits, sessionLimits } from './limits.ts';
import type { PeopleDirectory, SignedInPerson } from './types.ts';

/** Where a browser's push service takes messages, and what they are encrypted with. Whoever has it could tell that browser something. */
export interface PushTarget {
  endpoint: string;
  keys: { p256dh: string; auth: string };
}

export type PushSubscriptions = ReturnType<typeof createPushSubscriptions>;

const DAY_MS = 86_400_000;
const sealContext = (id: string, person: string) => `push-subscription:${id}:${person}`;

/** The browsers in which people are told of what waits. Each is its person's own: nobody else sees, tries or removes one. */
export function createPushSubscriptions({
  storage,
  registry,
  recordChange,
  sealer,
  clock,
}: {
  storage: Storage;
  registry: PeopleDirectory;
  recordChange: RecordChange;
  sealer: Sealer;
  clock: Clock;
}) {
  const of = (person: string) => storage.db.selectFrom('push_subscriptions').selectAll().where('person', '=', person);

  const open = ({ id, person, sealed }: Tables['push_subscriptions']): PushTarget =>
    JSON.parse(sealer.open(sealed, sealContext(id, person)).reveal());

  return {
    async list(person: string): Promise<PushSubscriptionView[]> {
      return (await of(person).orderBy('created_at', 'desc').execute()).map(viewOf);
    },

    /** Turned on, or seen again. A browser has one person: who turns it on here takes it from whoever had it on before, and shows its keys for that. */
    async add(
      { email, session }: Pick<SignedInPerson, 'email' | 'session'>,
      { endpoint, keys, stays }: NewPushSubscription,
      userAgent: string,
    ): Promise<PushSubscriptionView> {
      checkPoint(keys.p256dh);
      const now = clock.now();
      const digest = sha256Hex(endpoint);
      return storage.transaction(async (transaction) => {
        const before = await transaction
          .selectFrom('push_subscriptions')
          .selectAll()
          .where('endpoint_digest', '=', digest)
          .executeTakeFirst();
        if (before && !isSame(open(before), keys))
          throw new GatehouseError(
            'conflict',
            'push.other-keys',
            'This browser is known with other keys. Turn notifications off in it, then on again.',
          );
        if (before?.person === email) {
          const seen = { session, seen_at: now, stays: stays ? 1 : 0, user_agent: agentOf(userAgent) };
          await transaction.updateTable('push_subscriptions').set(seen).where('id', '=', before.id).execute();
          return viewOf({ ...before, ...seen });
        }
        if (before) await endPush(transaction, recordChange, `person:${email}`, { ids: [before.id] });
        const others = await transaction
          .selectFrom('push_subscriptions')
          .select('id')
          .where('person', '=', email)
          .orderBy('seen_at', 'desc')
          .orderBy('id')
          .execute();
        const surplus = others.slice(limits.browsers - 1).map(({ id }) => id);
        await endPush(transaction, recordChange, `person:${email}`, { ids: surplus });
        const id = newId('psh', now);
        const service = new URL(endpoint).host;
        const row: Tables['push_subscriptions'] = {
          id,
          person: email,
          session,
          endpoint_digest: digest,
          service,
          sealed: sealer.seal(new Secret(JSON.stringify({ endpoint, keys })), sealContext(id, email)),
          user_agent: agentOf(userAgent),
          stays: stays ? 1 : 0,
          created_at: now,
          seen_at: now,
          sent_at: null,
        };
        const made = await transaction
          .insertInto('push_subscriptions')
          .values(row)
          .onConflict((conflict) => conflict.column('endpoint_digest').doNothing())
          .returning('id')
          .executeTakeFirst();
        if (!made)
          throw new GatehouseError('conflict', 'push.twice', 'This browser is being turned on elsewhere. Try again.');
        const changes = [`browser ${id} of ${email} at ${service}${stays ? ', also after signing out' : ''}`];
        await recordChange(transaction, { operation: 'push.subscribe', by: `person:${email}`, changes });
        return viewOf(row);
      });
    },

    async remove(person: string, id: string): Promise<void> {
      const gone = await storage.transaction((transaction) =>
        endPush(transaction, recordChange, `person:${person}`, { person, ids: [id] }),
      );
      if (gone === 0) throw unknown(id);
    },

    /** The push service of one of this person's. Throws unless it is one. */
    async serviceOf(person: string, id: string): Promise<string> {
      const row = await of(person).where('id', '=', id).executeTakeFirst();
      if (row) return row.service;
      throw unknown(id);
    },

    /** Of these people, as `PERSON/ID`. */
    async recipients(
      people: readonly string[],
      database: DatabaseTransaction | Storage['db'] = storage.db,
    ): Promise<string[]> {
      if (people.length === 0) return [];
      const rows = await database
        .selectFrom('push_subscriptions')
        .select(['person', 'id'])
        .where('person', 'in', people)
        .orderBy('person')
        .orderBy('id')
        .execute();
      return rows.map(({ person, id }) => `${person}/${id}`);
    },

    /** Undefined where it is gone, or its person. */
    async find(recipient: string): Promise<PushTarget | undefined> {
      const { person, id } = partsOf(recipient);
      if (!registry.snapshot().people.has(person)) return undefined;
      const row = await of(person).where('id', '=', id).executeTakeFirst();
      return row && open(row);
    },

    async noteSent(recipient: string): Promise<void> {
      await storage.transaction((transaction) =>
        transaction
          .updateTable('push_subscriptions')
          .set({ sent_at: clock.now() })
          .where('id', '=', partsOf(recipient).id)
          .execute(),
      );
    },

    /** Its push service does not know it any more. */
    async forget(recipient: string): Promise<void> {
      const { person, id } = partsOf(recipient);
      await storage.transaction((transaction) =>
        endPush(transaction, recordChange, 'gatehouse', { person, ids: [id] }, 'its push service has ended it'),
      );
    },

    async sweep(): Promise<void> {
      await storage.transaction(async (transaction) => {
        const unseen = await transaction
          .selectFrom('push_subscriptions')
          .select('id')
          .where('seen_at', '<', clock.now() - limits.unseenDays * DAY_MS)
          .limit(100)
          .execute();
        const ids = unseen.map(({ id }) => id);
        await endPush(transaction, recordChange, 'gatehouse', { ids }, `not seen for ${limits.unseenDays} days`);
      });
    },
  };
}

/** Ends those of a person, of their sessions (`sessions`), all but that of one session (`keep`), or these. Recorded. Says how many. */
export async function endPush(
  transaction: DatabaseTransaction,
  recordChange: RecordChange,
  by: string,
  which: { person?: string; ids?: readonly string[]; sessions?: readonly string[]; keep?: string; signedOut?: true },
  why?: string,
): Promise<number> {
  const { person, ids, sessions, keep, signedOut } = which;
  if (ids?.length === 0 || sessions?.length === 0) return 0;
  let query = transaction.deleteFrom('push_subscriptions');
  if (person !== undefined) query = query.where('person', '=', person);
  if (ids !== undefined) query = query.where('id', 'in', ids);
  if (sessions !== undefined) query = query.where('session', 'in', sessions);
  if (keep !== undefined) query = query.where('session', '!=', keep);
  if (signedOut) query = query.where('stays', '=', 0);
  const gone = await query.returning(['id', 'person', 'service']).execute();
  if (gone.length === 0) return 0;
  const because = why === undefined ? '' : `: ${why}`;
  const changes = gone.map(({ id, person, service }) => `browser ${id} of ${person} at ${service}${because}`);
  await recordChange(transaction, { operation: 'push.unsubscribe', by, changes });
  return gone.length;
}

const agentOf = (userAgent: string) => userAgent.slice(0, sessionLimits.userAgentChars);

const isSame = ({ keys }: PushTarget, given: PushTarget['keys']) =>
  constantTimeEqual(keys.auth, given.auth) && constantTimeEqual(keys.p256dh, given.p256dh);

/** Throws unless it is a point of the curve, which a message can be encrypted for. */
function checkPoint(p256dh: string): void {
  const bytes = Buffer.from(p256dh, 'base64url');
  const [x, y] = [bytes.subarray(1, 33), bytes.subarray(33)].map((half) => half.toString('base64url'));
  try {
    createPublicKey({ key: { kty: 'EC', crv: 'P-256', x, y }, format: 'jwk' });
  } catch (cause) {
    throw new GatehouseError('bad-request', 'push.keys', 'p256dh is no point of P-256.', { cause });
  }
}

/** Of `PERSON/ID`: an address may hold a slash, an id none. */
function partsOf(recipient: string): { person: string; id: string } {
  const at = recipient.lastIndexOf('/');
  return { person: recipient.slice(0, Math.max(0, at)), id: recipient.slice(at + 1) };
}

const unknown = (id: string) =>
  new GatehouseError(
    'not-found',
    'push.not-found',
    `No browser of yours is ${id.slice(0, 60)}. It may be off already.`,
  );

const viewOf = (row: Tables['push_subscriptions']): PushSubscriptionView => ({
  id: row.id,
  service: row.service,
  userAgent: row.user_agent,
  endpointDigest: row.endpoint_digest,
  stays: row.stays === 1,
  createdAt: row.created_at,
  seenAt: row.seen_at,
  sentAt: row.sent_at,
});
