import {
  type Approval,
  type BreakGlass,
  type ChannelManifest,
  type DeliveryView,
  toolPatternMatches,
} from '@gatehouse/protocol';
import type { Selectable } from 'kysely';
import { type Clock, newId } from '../../platform/index.ts';
import type { DatabaseTransaction, Tables } from '../../storage/index.ts';
import { type Told, whoIsTold } from '../fatigue/quiet-hours.ts';
import { channelLimits } from './limits.ts';
import type { Channel } from './types.ts';

export type DeliveryRow = Selectable<Tables['deliveries']>;

const { waitingPerChannel, recipients: MOST } = channelLimits;

export interface Asking {
  clock: Clock;
  channels: ReadonlyMap<string, ChannelManifest>;
  /** Whose quiet hours count, and who is on call. */
  snapshot: Told;
  open(manifest: ChannelManifest): Channel;
}

/** A row for each message, in the transaction that opens or escalates the approval: told as surely as it waits, and not before. */
export async function enqueueAsked(
  transaction: DatabaseTransaction,
  approval: Approval,
  people: readonly string[],
  { clock, channels, snapshot, open }: Asking,
): Promise<void> {
  const now = clock.now();
  const told = whoIsTold(people, approval, { snapshot, now });
  for (const manifest of channels.values()) {
    if (!serves(manifest, approval)) continue;
    const channel = open(manifest);
    // A place that many read is told at once; a message of one's own waits until one's quiet hours are over.
    const due = new Map<string, number>([['', now]]);
    if (channel.recipients) {
      due.clear();
      for (const { person, at } of told.later)
        for (const recipient of await channel.recipients(transaction, [person])) due.set(recipient, at);
      for (const recipient of await channel.recipients(transaction, told.now)) due.set(recipient, now);
    }
    const before = await toldBefore(transaction, manifest.name, approval.id);
    // Where each has a message of their own, nobody gets two. A place is told again when others are to decide, unless its message is what is decided on.
    // Those first who are told now.
    const byTime = [...due.keys()].sort((a, b) => (due.get(a) ?? now) - (due.get(b) ?? now));
    const fresh = byTime.filter((recipient) => !before.has(recipient) || (recipient === '' && !channel.look));
    const room = waitingPerChannel - (await waitingOf(transaction, manifest.name));
    const rows = fresh.slice(0, MOST).map((recipient, at) => ({
      ...newDelivery(manifest.name, approval.id, recipient, 'asked', now),
      due_at: due.get(recipient) ?? now,
      ...(at >= room && { state: 'dead', error: `${waitingPerChannel} deliveries of this channel wait already` }),
    }));
    if (rows.length > 0) await transaction.insertInto('deliveries').values(rows).execute();
  }
}

/** Every message that was made is to say that nobody is needed any more, where its channel can change messages. */
export async function enqueueClosed(
  transaction: DatabaseTransaction,
  approval: Approval,
  { clock, channels, open }: Asking,
): Promise<void> {
  const asked = await transaction
    .selectFrom('deliveries')
    .select(['id', 'channel', 'recipient'])
    .where('approval', '=', approval.id)
    .where('event', '=', 'asked')
    .where('state', 'in', ['waiting', 'sent'])
    .execute();
  const rows = asked.flatMap(({ id, channel, recipient }) => {
    const manifest = channels.get(channel);
    if (!manifest || !open(manifest).close) return [];
    return [{ ...newDelivery(channel, approval.id, recipient, 'closed', clock.now()), about: id }];
  });
  if (rows.length > 0) await transaction.insertInto('deliveries').values(rows).execute();
}

export const newDelivery = (
  channel: string,
  approval: string,
  recipient: string,
  event: DeliveryView['event'],
  now: number,
): DeliveryRow => ({
  id: newId('dlv', now),
  channel,
  approval,
  event,
  recipient,
  state: 'waiting',
  attempts: 0,
  due_at: now,
  created_at: now,
  updated_at: now,
  about: null,
  reference: null,
  error: null,
  whole: 0,
  looked_at: 0,
  open_at: null,
  seal: null,
});

/** An emergency is told at once, in quiet hours too, wherever one of its tools would be, and to those who sign. */
export async function enqueueGlass(
  transaction: DatabaseTransaction,
  { id, agent, tools }: BreakGlass,
  people: readonly string[],
  { clock, channels, environment, open }: Omit<Asking, 'snapshot'> & { environment: string },
): Promise<void> {
  for (const manifest of channels.values()) {
    const channel = open(manifest);
    if (channel.isReminder || !tools.some((tool) => serves(manifest, { environment, agent, tool }))) continue;
    const recipients = channel.recipients ? await channel.recipients(transaction, people) : [''];
    const room = waitingPerChannel - (await waitingOf(transaction, manifest.name));
    const rows = recipients
      .slice(0, Math.max(0, Math.min(MOST, room)))
      .map((recipient) => newDelivery(manifest.name, id, recipient, 'break-glass', clock.now()));
    if (rows.length > 0) await transaction.insertInto('deliveries').values(rows).execute();
  }
}

async function toldBefore(transaction: DatabaseTransaction, channel: string, approval: string): Promise<Set<string>> {
  const rows = await transaction
    .selectFrom('deliveries')
    .select('recipient')
    .where('approval', '=', approval)
    .where('channel', '=', channel)
    .where('event', '=', 'asked')
    .execute();
  return new Set(rows.map(({ recipient }) => recipient));
}

export async function waitingOf(transaction: DatabaseTransaction, channel: string): Promise<number> {
  const { count } = await transaction
    .selectFrom('deliveries')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('channel', '=', channel)
    .where('state', '=', 'waiting')
    .executeTakeFirstOrThrow();
  return Number(count);
}

export function serves(
  { environments, agents, tools }: ChannelManifest,
  approval: Pick<Approval, 'environment' | 'agent' | 'tool'>,
): boolean {
  if (environments && !environments.includes(approval.environment)) return false;
  if (agents && !agents.includes(approval.agent)) return false;
  return !tools || tools.some((pattern) => toolPatternMatches(pattern, approval.tool));
}
