import type { ChannelManifest, CredentialProviderManifest, LeaseView, PersonManifest, Role } from '@gatehouse/protocol';
import type { Clock } from '../../platform/index.ts';
import type { DatabaseTransaction } from '../../storage/index.ts';
import { channelLimits } from './limits.ts';
import { line, type Message } from './message.ts';
import { newDelivery, serves, waitingOf } from './outbox.ts';
import type { Channel } from './types.ts';

const HOUR_MS = 3_600_000;

/** Those who can have it given up. */
const LOOK_AFTER: Role[] = ['security', 'admin'];

interface Alarming {
  clock: Clock;
  channels: ReadonlyMap<string, ChannelManifest>;
  snapshot: {
    people: ReadonlyMap<string, PersonManifest>;
    credentialProviders: ReadonlyMap<string, CredentialProviderManifest>;
  };
  open(manifest: ChannelManifest): Channel;
}

/** Somebody may use what was to be gone: told at once, in quiet hours too, to those who look after credentials. */
export async function enqueueStuck(
  transaction: DatabaseTransaction,
  { id, agent, environment, provider }: LeaseView,
  { clock, channels, snapshot, open }: Alarming,
): Promise<void> {
  const now = clock.now();
  const from = snapshot.credentialProviders.get(provider)?.from;
  const owner = from?.type === 'static' ? from.owner : undefined;
  const people = [...snapshot.people.values()]
    .filter(({ email, roles }) => email === owner || roles.some((role) => LOOK_AFTER.includes(role)))
    .map(({ email }) => email);
  for (const manifest of channels.values()) {
    const channel = open(manifest);
    // A credential is of no tool: which of them a channel is for makes no difference.
    if (channel.isReminder || !serves({ ...manifest, tools: undefined }, { environment, agent, tool: '' })) continue;
    if ((await alarmsOf(transaction, manifest.name, now - HOUR_MS)) >= channelLimits.stuckPerHour) continue;
    const recipients = channel.recipients ? await channel.recipients(transaction, people) : [''];
    const room = channelLimits.waitingPerChannel - (await waitingOf(transaction, manifest.name));
    const rows = recipients
      .slice(0, Math.max(0, Math.min(channelLimits.recipients, room)))
      .map((recipient) => newDelivery(manifest.name, id, recipient, 'lease-stuck', now));
    if (rows.length > 0) await transaction.insertInto('deliveries').values(rows).execute();
  }
}

/** Whoever was alarmed hears that it is over, and nobody else. */
export async function enqueueOver(
  transaction: DatabaseTransaction,
  { id }: LeaseView,
  { clock, channels }: Pick<Alarming, 'clock' | 'channels'>,
): Promise<void> {
  const alarmed = await transaction
    .selectFrom('deliveries')
    .select(['id', 'channel', 'recipient'])
    .where('approval', '=', id)
    .where('event', '=', 'lease-stuck')
    .where('state', 'in', ['waiting', 'sent'])
    .execute();
  const rows = alarmed
    .filter(({ channel }) => channels.has(channel))
    .map(({ id: about, channel, recipient }) => ({
      ...newDelivery(channel, id, recipient, 'lease-over', clock.now()),
      about,
    }));
  if (rows.length > 0) await transaction.insertInto('deliveries').values(rows).execute();
}

/** What stands in it is ours and names: what a provider said of its failure may quote anything, and stays where one signs in. */
export function leaseMessage(
  lease: LeaseView,
  event: 'lease-stuck' | 'lease-over',
  { show, publicUrl }: { show: ChannelManifest['show']; publicUrl: string },
): Message {
  const { id, provider, agent, task, environment, state, failingSince, attempts, endsByItself } = lease;
  const url = `${publicUrl}/leases/${encodeURIComponent(id)}`;
  const isStuck = event === 'lease-stuck';
  const isNamed = show !== 'nothing';
  const what = isNamed ? `a credential of ${line(provider)}` : 'a credential';
  const outcome =
    state === 'dropped' ? 'is given up: nobody tries to end it any more' : 'is ended, and verified to be gone';
  const since = failingSince === null ? null : new Date(failingSince).toISOString();
  const until = new Date(Math.max(lease.expiresAt, lease.worksUntil ?? 0)).toISOString();
  const command = `gatehouse leases show ${id}`;
  return {
    event,
    approval: id,
    digest: null,
    heading: isStuck ? `STUCK: ${what} could not be ended` : `No longer stuck: ${what} ${outcome}`,
    facts: [
      ...(isNamed
        ? ([
            ['Agent', line(agent || 'nobody: it was a test')],
            ...(task === '' ? [] : [['Task', line(task)]]),
            ['Environment', line(environment)],
          ] as [string, string][])
        : []),
      ...(isStuck
        ? ([
            ['Failing since', `${since ?? 'now'}, ${attempts} attempts; it is tried on`],
            ['It may work', endsByItself ? `until ${until}` : 'until somebody ends it where it was issued'],
            ['What to do', `${command} says why. Once its provider answers, it is ended within a minute.`],
            ['All that are stuck', 'gatehouse leases --state stuck'],
          ] as [string, string][])
        : ([['Read more', command]] as [string, string][])),
    ],
    arguments: null,
    urgency: isStuck ? 'high' : 'normal',
    isWhole: false,
    url,
    expiresAt: null,
    data: { lease: id, state, url, failingSince: since, ...(isNamed && { provider, agent, task, environment }) },
  };
}

/** Leases of which the channel was told since then. */
async function alarmsOf(transaction: DatabaseTransaction, channel: string, since: number): Promise<number> {
  const { count } = await transaction
    .selectFrom('deliveries')
    .select(({ fn }) => fn.count<number>('approval').distinct().as('count'))
    .where('channel', '=', channel)
    .where('event', '=', 'lease-stuck')
    .where('created_at', '>', since)
    .executeTakeFirstOrThrow();
  return Number(count);
}
