import type { Approval, ChannelManifest } from '@gatehouse/protocol';
import type { Clock, Log } from '../../platform/index.ts';
import type { Sealer, Storage } from '../../storage/index.ts';
import { channelLimits as limits } from './limits.ts';
import type { Message } from './message.ts';
import type { DeliveryRow } from './outbox.ts';
import { sealTold } from './told.ts';
import { type Channel, type Delivery, NobodyThere, NotDeliverable, TryLater } from './types.ts';

export interface LaneDependencies {
  storage: Storage;
  sealer: Sealer;
  clock: Clock;
  log: Log;
  channels(): ReadonlyMap<string, ChannelManifest>;
  open(manifest: ChannelManifest): Channel;
  approval(id: string): Promise<Approval | undefined>;
  message(approval: Approval, event: 'asked' | 'closed', manifest: ChannelManifest): Message;
  /** Undefined where there is none of this id. */
  glass(id: string, manifest: ChannelManifest): Promise<Message | undefined>;
  /** Of a credential that is stuck, or no longer; undefined where that is not so. */
  alarm(row: DeliveryRow, manifest: ChannelManifest): Promise<Message | undefined>;
  random?: () => number;
}

const ERROR_CHARS = 500;

/**
 * Delivers what waits, each channel in a lane of its own, so that one that hangs holds up nothing but itself. A row is taken by moving its
 * `due_at` ahead: what a replica has taken and not finished comes due again, on any replica.
 */
export function createLanes({
  storage,
  sealer,
  clock,
  log,
  channels,
  open,
  approval,
  message,
  glass,
  alarm,
  random = Math.random,
}: LaneDependencies) {
  const underWay = new Map<string, number>();
  const taking = new Set<string>();
  const missed = new Set<string>();
  let stopped = false;

  async function take(name: string, most: number): Promise<DeliveryRow[]> {
    const now = clock.now();
    const due = await storage.db
      .selectFrom('deliveries')
      .select(['id', 'due_at'])
      .where('channel', '=', name)
      .where('state', '=', 'waiting')
      .where('due_at', '<=', now)
      .orderBy('due_at')
      .limit(most)
      .execute();
    if (due.length === 0) return [];
    return storage.transaction(async (transaction) => {
      const taken: DeliveryRow[] = [];
      for (const { id, due_at } of due) {
        const row = await transaction
          .updateTable('deliveries')
          .set((set) => ({ due_at: now + limits.takeOverMs, attempts: set('attempts', '+', 1) }))
          .where('id', '=', id)
          .where('state', '=', 'waiting')
          .where('due_at', '=', due_at)
          .returningAll()
          .executeTakeFirst();
        if (row) taken.push(row);
      }
      return taken;
    });
  }

  async function fill(name: string): Promise<void> {
    const room = limits.atOnce - (underWay.get(name) ?? 0);
    if (stopped || room <= 0) return;
    if (taking.has(name)) {
      missed.add(name);
      return;
    }
    taking.add(name);
    missed.delete(name);
    const rows = await take(name, room).finally(() => taking.delete(name));
    for (const row of rows) {
      underWay.set(name, (underWay.get(name) ?? 0) + 1);
      void deliver(row)
        .catch((error) => {
          // A server that stops leaves it to whoever comes next.
          if (!stopped) log.error('a delivery could not be noted, and is made again', { delivery: row.id, error });
        })
        .finally(() => {
          underWay.set(name, (underWay.get(name) ?? 1) - 1);
          if (rows.length === room) refill(name);
        });
    }
    // Woken while it looked: what was made since then was not seen.
    if (missed.delete(name)) refill(name);
  }

  function refill(name: string): void {
    fill(name).catch((error) => log.error('deliveries could not be looked for', { channel: name, error }));
  }

  async function deliver(row: DeliveryRow): Promise<void> {
    const manifest = channels().get(row.channel);
    if (!manifest) return finish(row, { state: 'dropped', error: 'there is no such channel any more' });
    const text = await textOf(row, manifest);
    if (typeof text === 'string') return finish(row, { state: 'dropped', error: text });
    if (row.about === null) return post(row, open(manifest), text, null);
    const sent = await toldBefore(row.about);
    if (sent?.state === 'waiting')
      return finish(row, { due_at: clock.now() + limits.firstRetryMs, attempts: row.attempts - 1 });
    if (sent?.state !== 'sent') return finish(row, { state: 'dropped', error: 'nobody was told that it waits' });
    return post(row, open(manifest), text, sent.reference);
  }

  /** What is to be said now, or in words why nothing is. */
  async function textOf(row: DeliveryRow, manifest: ChannelManifest): Promise<Message | string> {
    switch (row.event) {
      case 'break-glass':
        return (await glass(row.approval, manifest)) ?? 'there is no such break-glass any more';
      case 'lease-stuck':
      case 'lease-over':
        return (await alarm(row, manifest)) ?? 'it was not so any more';
      default: {
        const of = await approval(row.approval);
        if (!of) return 'there is no such approval any more';
        if (row.event === 'asked' && of.state !== 'pending') return `it was ${of.state} before`;
        return message(of, row.event as 'asked' | 'closed', manifest);
      }
    }
  }

  async function post(row: DeliveryRow, channel: Channel, text: Message, about: string | null): Promise<void> {
    try {
      const reference = await within(limits.sendTimeoutMs, () =>
        send(channel, text, {
          id: row.id,
          recipient: row.recipient,
          reference: about,
        }),
      );
      const sent = { reference, whole: text.isWhole && !channel.isReminder ? 1 : 0 };
      const seal =
        text.event === 'asked' && text.digest !== null ? sealTold(sealer, { ...row, ...sent }, text.digest) : null;
      await finish(row, { state: 'sent', ...sent, seal, error: null });
    } catch (error) {
      const words = (error instanceof Error ? error.message : String(error)).slice(0, ERROR_CHARS);
      // A recipient who is gone is no failure; of a place that all share, it is one.
      if (error instanceof NobodyThere && row.recipient !== '') return finish(row, { state: 'dropped', error: words });
      const isOver = error instanceof NotDeliverable || row.attempts >= limits.attempts;
      if (isOver)
        log.warn('a message to people was given up', { channel: row.channel, delivery: row.id, error: words });
      await finish(
        row,
        isOver ? { state: 'dead', error: words } : { due_at: clock.now() + waitOf(row, error), error: words },
      );
    }
  }

  function send(channel: Channel, text: Message, delivery: Delivery): Promise<string | null> {
    // In a system of tickets the end is said in the ticket, not with another one.
    const changes = text.event === 'closed' || (text.event === 'lease-over' && channel.look !== undefined);
    if (!changes) return channel.send(text, delivery);
    return (channel.close?.(text, delivery) ?? Promise.resolve()).then(() => delivery.reference);
  }

  const toldBefore = (id: string) =>
    storage.db.selectFrom('deliveries').select(['state', 'reference']).where('id', '=', id).executeTakeFirst();

  /** Half of it is chance: many that failed together do not come again together. */
  function waitOf({ attempts }: DeliveryRow, error: unknown): number {
    const asked = error instanceof TryLater ? error.afterMs : 0;
    const backOff = Math.min(limits.longestRetryMs, limits.firstRetryMs * 2 ** (attempts - 1));
    return Math.round(Math.min(limits.longestRetryMs, Math.max(asked, backOff * (0.5 + random() / 2))));
  }

  async function finish(row: DeliveryRow, change: Partial<DeliveryRow>): Promise<void> {
    await storage.transaction(async (transaction) => {
      await transaction
        .updateTable('deliveries')
        .set({ ...change, updated_at: clock.now() })
        .where('id', '=', row.id)
        .where('state', '=', 'waiting')
        .execute();
    });
  }

  return {
    /** Looks for what is due in every lane. */
    wake(): void {
      for (const name of channels().keys()) refill(name);
    },
    stop(): void {
      stopped = true;
    },
  };
}

export async function within<T>(timeoutMs: number, work: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([work(), late]);
  } finally {
    clearTimeout(timer);
  }
}
