import type { Approval, ChannelManifest } from '@gatehouse/protocol';
import type { Clock, Log } from '../../platform/index.ts';
import type { Sealer, Storage } from '../../storage/index.ts';
import { within } from './lanes.ts';
import { channelLimits } from './limits.ts';
import type { Message } from './message.ts';
import { toldProblem } from './told.ts';
import type { Answer, Channel, Outcome } from './types.ts';

interface LookDependencies {
  storage: Storage;
  sealer: Sealer;
  clock: Clock;
  log: Log;
  channels(): ReadonlyMap<string, ChannelManifest>;
  open(manifest: ChannelManifest): Channel;
  answer(manifest: ChannelManifest, answer: Answer): Promise<Outcome>;
  approval(id: string): Promise<Approval | undefined>;
  message(approval: Approval, event: 'asked', manifest: ChannelManifest): Message;
}

/** Asks places that can't tell by themselves what people have said there to messages whose approvals still wait. */
export function createLooks({
  storage,
  sealer,
  clock,
  log,
  channels,
  open,
  answer,
  approval: find,
  message,
}: LookDependencies) {
  const busy = new Set<string>();

  /** Says whether it asked at all, and the place said of all of it that nobody has answered. */
  async function look(
    manifest: ChannelManifest,
    only: { reference?: string; approval?: string; recipient?: string } = {},
  ): Promise<boolean> {
    const channel = open(manifest);
    if (!channel.look) return false;
    let query = storage.db
      .selectFrom('deliveries')
      .innerJoin('approvals', 'approvals.id', 'deliveries.approval')
      .selectAll('deliveries')
      .select(['approvals.digest', 'approvals.created_at as asked_at'])
      .where('deliveries.channel', '=', manifest.name)
      .where('deliveries.event', '=', 'asked')
      .where('deliveries.state', '=', 'sent')
      .where('approvals.state', '=', 'pending')
      .where('approvals.expires_at', '>', clock.now());
    const { reference, approval: about, recipient: whose } = only;
    if (reference !== undefined) query = query.where('deliveries.reference', '=', reference);
    if (about !== undefined) query = query.where('deliveries.approval', '=', about);
    if (whose !== undefined) query = query.where('deliveries.recipient', '=', whose);
    const sent = await query
      .orderBy('deliveries.looked_at')
      .orderBy('deliveries.id')
      .limit(channelLimits.looksAtOnce)
      .execute();
    await noteLook(sent.map(({ id }) => id));
    let isOpen = sent.length > 0;
    for (const row of sent) {
      const { id, recipient, reference: at, approval, digest, asked_at } = row;
      try {
        // INVARIANT: only what was sent about this action is asked about.
        const problem = toldProblem(sealer, row, digest);
        if (problem !== null) throw new Error(`the message ${id} is not what was sent: ${problem}`);
        const of = {
          id: approval,
          digest,
          createdAt: Number(asked_at),
          async message() {
            const found = await find(approval);
            if (!found) throw new Error(`there is no approval ${approval}`);
            return message(found, 'asked', manifest);
          },
        };
        const said = await within(channelLimits.sendTimeoutMs, async () =>
          channel.look?.({ id, recipient, reference: at }, of),
        );
        if (said === 'open') continue;
        isOpen = false;
        if (said) await answer(manifest, { ...said, approval, isLooked: true });
      } catch (error) {
        isOpen = false;
        log.warn('what people said in a channel could not be asked for', { channel: manifest.name, error });
      }
    }
    return isOpen;
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
