import { hash } from 'node:crypto';
import { type Approval, type ChannelManifest, channelTypeOf } from '@gatehouse/protocol';
import { type Clock, GatehouseError } from '../../platform/index.ts';
import type { Database, DatabaseTransaction, RecordChange, Sealer, Storage } from '../../storage/index.ts';
import { serves } from './outbox.ts';
import { hasLooked, lookId, sealLook } from './told.ts';

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const CODE_CHARS = 8;

/** What a device shows of an action, and the page too: another action has another code. */
export function deviceCode(approval: string, digest: string): string {
  const bytes = hash('sha256', `${approval} ${digest}`, 'buffer').subarray(0, CODE_CHARS);
  const code = [...bytes].map((byte) => ALPHABET[byte % ALPHABET.length]).join('');
  return `GH-${code.slice(0, 4)}-${code.slice(4)}`;
}

interface DeviceDependencies {
  storage: Storage;
  recordChange: RecordChange;
  sealer: Sealer;
  clock: Clock;
  channels(): ReadonlyMap<string, ChannelManifest>;
  approval(id: string): Promise<Approval | undefined>;
  /** Asks the place now, and says whether it says that this person has not answered. */
  ask(manifest: ChannelManifest, of: { approval: string; recipient: string }): Promise<boolean>;
}

/** A yes on a device that shows a code alone counts for whoever has looked at the action first, and compares the code. */
export function createDevice({ storage, recordChange, sealer, clock, channels, approval, ask }: DeviceDependencies) {
  /** Where this person may say yes on their device, if anywhere. */
  function channelFor(of: Approval, person: string): ChannelManifest | undefined {
    if (of.state !== 'pending') return undefined;
    return [...channels().values()].find(
      (manifest) =>
        channelTypeOf(manifest) === 'ciba' &&
        manifest.ciba?.counts &&
        serves(manifest, of) &&
        Object.values(manifest.people).includes(person) &&
        of.rules.some(({ accept = [] }) => accept.includes(`channel:${manifest.name}`)),
    );
  }

  return {
    channelFor: (of: Approval, person: string): string | null => channelFor(of, person)?.name ?? null,

    /** On record that they have looked; gives the code once it is known that they have not answered before. */
    async look(id: string, person: string, digest: string): Promise<{ code: string }> {
      const of = await approval(id);
      const manifest = of && channelFor(of, person);
      if (!of || !manifest)
        throw new GatehouseError(
          'conflict',
          'approval.no-device',
          'A yes on your device does not count for this. Approve it with your passkey.',
        );
      const waits = async (database: Database | DatabaseTransaction) => {
        const row = await database
          .selectFrom('approvals')
          .select(['digest', 'expires_at'])
          .where('id', '=', id)
          .where('state', '=', 'pending')
          .where('expires_at', '>', clock.now())
          .executeTakeFirst();
        if (row?.digest === digest) return row;
        throw new GatehouseError('conflict', 'approval.changed', 'What waits is not what was shown. Load it again.');
      };
      await waits(storage.db);
      const channel = manifest.name;
      const code = deviceCode(id, digest);
      if (await hasLooked(storage.db, { approval: id, digest, channel, person }, sealer)) return { code };
      // INVARIANT: asked by this very look, after it. What the database says of an earlier question, and by which clock, counts for nothing.
      if (!(await ask(manifest, { approval: id, recipient: person })))
        throw new GatehouseError(
          'conflict',
          'approval.device-not-waiting',
          'Your device is not asked now: it has answered before you looked, or the provider can’t be reached. Approve with your passkey.',
        );
      await storage.transaction(async (transaction) => {
        const { expires_at } = await waits(transaction);
        const look = { id: lookId(id, person), approval: id, person, digest, at: clock.now() };
        const made = { ...look, expires_at, seal: sealLook(sealer, look, channel) };
        await transaction
          .insertInto('approval_looks')
          .values(made)
          .onConflict((conflict) => conflict.column('id').doUpdateSet(made))
          .execute();
        const { actionId: action, agent, task, tool, environment } = of;
        await recordChange(transaction, {
          ...{ action, agent, task, tool, environment, approval: id },
          operation: 'approval.look',
          by: `person:${person}`,
          changes: [`digest ${digest}`, `for an answer through channel ${channel}`],
        });
      });
      return { code };
    },
  };
}
