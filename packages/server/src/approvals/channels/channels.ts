import {
  type Approval,
  type BreakGlass,
  type ChannelManifest,
  type ChannelTest,
  type ChannelView,
  type CredentialProviderManifest,
  channelTypeOf,
  type DeliveryView,
  type LeaseView,
} from '@gatehouse/protocol';
import { type Clock, GatehouseError, type Json, type Log, newId } from '../../platform/index.ts';
import type { DatabaseTransaction, RecordChange, Sealer, Storage } from '../../storage/index.ts';
import { MAY_SIGN, toBreakGlass } from '../break-glass/rows.ts';
import type { Told } from '../fatigue/quiet-hours.ts';
import { toApproval } from '../rows.ts';
import type { Tell } from '../types.ts';
import { type Answering, createAnswers } from './answers.ts';
import { createDevice } from './device.ts';
import { createChannelDoor } from './door.ts';
import { kinds } from './kinds.ts';
import { createLanes, within } from './lanes.ts';
import { channelLimits } from './limits.ts';
import { createLooks } from './look.ts';
import { glassMessage, messageOf, testMessage } from './message.ts';
import { type DeliveryRow, enqueueAsked, enqueueClosed, enqueueGlass } from './outbox.ts';
import { isServed } from './push.ts';
import { enqueueOver, enqueueStuck, leaseMessage } from './stuck-lease.ts';
import type { Channel, Tools } from './types.ts';

export interface ChannelsDependencies extends Pick<Tools, 'outbound' | 'openSecret' | 'people' | 'push'> {
  storage: Storage;
  registry: {
    snapshot(): Told & {
      readonly channels: ReadonlyMap<string, ChannelManifest>;
      readonly credentialProviders: ReadonlyMap<string, CredentialProviderManifest>;
    };
  };
  recordChange: RecordChange;
  /** Seals what was sent where, and who has looked at what. */
  sealer: Sealer;
  /** Throws where there is none of this id. */
  lease(id: string): Promise<LeaseView>;
  /** Names credentials in what an agent gave. */
  mask(value: Json): Json;
  clock: Clock;
  log: Log;
  publicUrl: string;
}

export type Channels = ReturnType<typeof createChannels>;

const LOOK_EVERY_MS = 1_000;

/** Where people are told of approvals, and heard. */
export function createChannels(dependencies: ChannelsDependencies) {
  const { storage, registry, recordChange, sealer, mask, clock, log, publicUrl, people, push } = dependencies;
  const channels = () => registry.snapshot().channels;
  const opened = new WeakMap<ChannelManifest, Channel>();

  function open(manifest: ChannelManifest): Channel {
    const channel = opened.get(manifest) ?? kinds[channelTypeOf(manifest)](manifest, dependencies);
    opened.set(manifest, channel);
    return channel;
  }

  function find(name: string): ChannelManifest {
    const manifest = channels().get(name);
    if (manifest) return manifest;
    throw new GatehouseError(
      'not-found',
      'channel.unknown',
      `There is no channel "${name}". \`gatehouse channels\` lists them.`,
    );
  }

  const asking = () => ({ clock, channels: channels(), snapshot: registry.snapshot(), open });
  const ask = (transaction: DatabaseTransaction, of: Approval, people: readonly string[]) =>
    enqueueAsked(transaction, of, people, asking());

  async function approval(id: string): Promise<Approval | undefined> {
    const row = await storage.db.selectFrom('approvals').selectAll().where('id', '=', id).executeTakeFirst();
    return row && toApproval(row, [], clock.now());
  }

  async function glass(id: string, { show }: ChannelManifest) {
    const row = await storage.db.selectFrom('break_glass').selectAll().where('id', '=', id).executeTakeFirst();
    return row && glassMessage(toBreakGlass(row, clock.now()), { show, publicUrl, mask });
  }

  async function tellOfGlass(transaction: DatabaseTransaction, of: BreakGlass): Promise<void> {
    const task = await transaction
      .selectFrom('tasks')
      .select('environment')
      .where('id', '=', of.task)
      .executeTakeFirst();
    const everybody = [...registry.snapshot().people.values()];
    const signers = everybody.filter(({ roles }) => roles.some((role) => MAY_SIGN.includes(role)));
    const environment = task?.environment ?? '';
    const emails = signers.map(({ email }) => email);
    await enqueueGlass(transaction, of, emails, { clock, channels: channels(), environment, open });
  }

  async function alarm({ approval: id, event }: DeliveryRow, { show }: ChannelManifest) {
    const lease = await dependencies.lease(id);
    const isStuck = event === 'lease-stuck';
    if (isStuck !== (lease.state === 'stuck')) return undefined;
    return leaseMessage(lease, isStuck ? 'lease-stuck' : 'lease-over', { show, publicUrl });
  }

  const message = (of: Approval, event: 'asked' | 'closed', { show }: ChannelManifest) =>
    messageOf(of, event, { show, publicUrl, mask });
  const lanes = createLanes({
    storage,
    sealer,
    clock,
    log,
    channels,
    open,
    approval,
    glass,
    alarm,
    message,
  });
  const answers = createAnswers({ storage, recordChange, sealer, clock, approval });
  const looks = createLooks({ storage, sealer, clock, log, channels, open, answer: answers.take, approval, message });
  const device = createDevice({ storage, recordChange, sealer, clock, channels, approval, ask: looks.look });

  async function view(manifest: ChannelManifest): Promise<ChannelView> {
    const { name, description = '' } = manifest;
    const of = () => storage.db.selectFrom('deliveries').where('channel', '=', name);
    const counts = await of()
      .select(['state', ({ fn }) => fn.countAll<number>().as('count'), ({ fn }) => fn.max('updated_at').as('last')])
      .groupBy('state')
      .execute();
    const failed = await of()
      .select(['updated_at', 'error'])
      .where('state', 'in', ['waiting', 'dead'])
      .where('error', 'is not', null)
      .orderBy('updated_at', 'desc')
      .executeTakeFirst();
    const count = (state: string) => Number(counts.find((each) => each.state === state)?.count ?? 0);
    const lastSent = counts.find(({ state }) => state === 'sent')?.last;
    return {
      name,
      type: channelTypeOf(manifest),
      description,
      answers: open(manifest).hear !== undefined || open(manifest).look !== undefined,
      waiting: count('waiting'),
      dead: count('dead'),
      lastSentAt: lastSent === undefined ? null : Number(lastSent),
      lastError: failed ? { at: failed.updated_at, error: failed.error ?? '' } : null,
    };
  }

  return {
    /** Part of every move of an approval. */
    tell: {
      onBreakGlass: tellOfGlass,
      onAsked: ask,
      onEscalated: ask,
      async onDecided(transaction, of) {
        await people.mailLinks.end(transaction, of.id);
        await enqueueClosed(transaction, of, asking());
      },
    } satisfies Tell,

    /** Part of the transaction in which a credential becomes stuck, or is no longer. */
    tellOfLease: (transaction: DatabaseTransaction, lease: LeaseView): Promise<void> =>
      lease.state === 'stuck' ? enqueueStuck(transaction, lease, asking()) : enqueueOver(transaction, lease, asking()),

    device,

    wake: lanes.wake,

    /** Returns the way to end it. */
    start(answering: Answering): () => void {
      answers.start(answering);
      const timers = [
        setInterval(lanes.wake, LOOK_EVERY_MS),
        setInterval(looks.all, channelLimits.lookEverySeconds * 1_000),
      ];
      for (const timer of timers) timer.unref();
      lanes.wake();
      return () => {
        for (const timer of timers) clearInterval(timer);
        lanes.stop();
      };
    },

    handle: createChannelDoor({ channels, open, answer: answers.take, look: looks.look, log }),

    /** Names of the channels that take this browser's push service; throws where none does. */
    pushChannels(service?: string): string[] {
      const all = [...channels().values()].filter(({ push }) => push !== undefined);
      const taking = all.filter(({ push }) => service === undefined || isServed(push?.services ?? [], service));
      if (service !== undefined && taking.length === 0)
        throw new GatehouseError(
          'bad-request',
          'push.service',
          all.length === 0
            ? 'Notifications are not set up here: an admin applies a Channel with `push`.'
            : `The push service of this browser, ${service.slice(0, 200)}, is none that is called from here. An admin can name it in \`push.services\` of the channel ${all[0]?.name}.`,
        );
      return taking.map(({ name }) => name);
    },

    list: () => Promise.all([...channels().values()].map(view)),

    async show(name: string): Promise<ChannelView & { manifest: ChannelManifest }> {
      const manifest = find(name);
      return { ...(await view(manifest)), manifest };
    },

    async deliveries(
      name: string,
      { before, limit }: { before?: string | undefined; limit: number },
    ): Promise<DeliveryView[]> {
      find(name);
      let query = storage.db.selectFrom('deliveries').selectAll().where('channel', '=', name);
      if (before !== undefined) query = query.where('id', '<', before);
      return (await query.orderBy('id', 'desc').limit(limit).execute()).map(shown);
    },

    /** Sends a message that asks for nothing, now. */
    async test(name: string, by: string, recipient = by.replace(/^person:/, '')): Promise<ChannelTest> {
      const manifest = find(name);
      const begun = clock.now();
      await storage.transaction((transaction) =>
        recordChange(transaction, { operation: 'channel.test', by, changes: [`channel ${name}`] }),
      );
      try {
        const delivery = { id: newId('dlv', begun), recipient, reference: null };
        await within(channelLimits.sendTimeoutMs, () => open(manifest).send(testMessage(name, publicUrl), delivery));
        return { ok: true, error: null, tookMs: clock.now() - begun };
      } catch (error) {
        return {
          ok: false,
          error: error instanceof Error ? error.message : String(error),
          tookMs: clock.now() - begun,
        };
      }
    },

    /** Removes what is old, and gives up what no channel is there for. */
    async sweep(): Promise<void> {
      await push.sweep();
      const now = clock.now();
      await storage.transaction(async (transaction) => {
        await transaction
          .deleteFrom('deliveries')
          .where('state', '!=', 'waiting')
          // Whoever was alarmed is to hear of the end, however late.
          .where((where) =>
            where.or([
              where('event', '<>', 'lease-stuck'),
              where('approval', 'not in', where.selectFrom('leases').select('id').where('leases.state', '=', 'stuck')),
            ]),
          )
          .where('updated_at', '<', now - channelLimits.keepDays * 24 * 3_600_000)
          .execute();
        const names = [...channels().keys()];
        let gone = transaction
          .updateTable('deliveries')
          .set({ state: 'dropped', error: 'there is no such channel any more', updated_at: now })
          .where('state', '=', 'waiting');
        if (names.length > 0) gone = gone.where('channel', 'not in', names);
        await gone.execute();
        await transaction.deleteFrom('channel_messages').where('expires_at', '<', now).execute();
        await transaction.deleteFrom('approval_looks').where('expires_at', '<', now).execute();
      });
    },
  };
}

const shown = (row: DeliveryRow): DeliveryView => ({
  id: row.id,
  channel: row.channel,
  approval: row.approval,
  event: row.event as DeliveryView['event'],
  recipient: row.recipient,
  state: row.state as DeliveryView['state'],
  attempts: row.attempts,
  dueAt: row.due_at,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
  error: row.error,
});
