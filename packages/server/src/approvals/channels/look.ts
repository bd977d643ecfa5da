import type { ChannelManifest } from '@gatehouse/protocol';
import type { Clock, Log } from '../../platform/index.ts';
import type { Storage } from '../../storage/index.ts';
import { within } from './lanes.ts';
import { channelLimits } from './limits.ts';
import type { Answer, Channel, Outcome } from './types.ts';

interface LookDependencies {
  storage: Storage;
  clock: Clock;
  log: Log;
  channels(): ReadonlyMap<string, ChannelManifest>;
  open(manifest: ChannelManifest): Channel;
  answer(manifest: ChannelManifest, answer: Answer): Promise<Outcome>;
}

/** Asks places that can't tell by themselves what people have said there to messages whose approvals still wait. */
export function createLooks({ storage, clock, log, channels, open, answer }: LookDependencies) {
  const busy = new Set<string>();

  async function look(manifest: ChannelManifest, reference?: string): Promise<void> {
    const channel = open(manifest);
    if (!channel.look) return;
    let query = storage.db
      .selectFrom('deliveries')
      .innerJoin('approvals', 'approvals.id', 'deliveries.approval')
      .select(['deliveries.id', 'deliveries.recipient', 'deliveries.reference', 'deliveries.approval'])
      .select(['approvals.digest', 'approvals.created_at'])
      .where('deliveries.channel', '=', manifest.name)
      .where('deliveries.event', '=', 'asked')
      .where('deliveries.state', '=', 'sent')
      .where('approvals.state', '=', 'pending')
      .where('approvals.expires_at', '>', clock.now());
    if (reference !== undefined) query = query.where('deliveries.reference', '=', reference);
    const sent = await query
      .orderBy('deliveries.looked_at')
      .orderBy('deliveries.id')
      .limit(channelLimits.looksAtOnce)
      .execute();
    await noteLook(sent.map(({ id }) => id));
    for (const { id, recipient, reference: at, approval, digest, created_at } of sent) {
      try {
        const about = { id: approval, digest, createdAt: Number(created_at) };
        const delivery = { id, recipient, reference: at };
        const said = await within(channelLimits.sendTimeoutMs, async () => channel.look?.(delivery, about));
        if (said) await answer(manifest, { ...said, approval, isLooked: true });
      } catch (error) {
        log.warn('what people said in a channel could not be asked for', { channel: manifest.name, error });
      }
    }
  }

  /** Whoever was asked goes to the end, so that those who say nothing keep nobody from being asked. */
  async function noteLook(ids: string[]): Promise<void> {
    if (ids.length === 0) return;
    await storage.transaction((transaction) =>
      transaction.updateTable('deliveries').set({ looked_at: clock.now() }).where('id', 'in', ids).execute(),
    );
  }

  return {
    look,
    /** In every channel that is to be asked, one after the other within each. */
    all(): void {
      for (const [name, manifest] of channels()) {
        if (busy.has(name) || !open(manifest).look) continue;
        busy.add(name);
        look(manifest)
          .catch((error) => log.error('what was said in a channel could not be looked for', { channel: name, error }))
          .finally(() => busy.delete(name));
      }
    },
  };
}
