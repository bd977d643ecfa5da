import { type Database, type DatabaseTransaction, rowSealProblem, type Sealer, sealRow } from '../../storage/index.ts';
import type { DeliveryRow } from './outbox.ts';

type Told = Pick<DeliveryRow, 'id' | 'channel' | 'approval' | 'recipient' | 'reference' | 'whole'>;

const content = ({ channel, approval, recipient, reference, whole }: Told, digest: string) => ({
  v: 1,
  channel,
  approval,
  digest,
  recipient,
  reference,
  whole: Number(whole),
});

/** Over what was sent about which action, to whom, and what the place calls it: who writes to the database points no message to another approval. */
export const sealTold = (sealer: Sealer, row: Told, digest: string): Uint8Array =>
  sealRow(sealer, 'deliveries', row.id, content(row, digest));

/** Says why the row is not what was sent about this action, or null. */
export const toldProblem = (sealer: Sealer, row: Told & Pick<DeliveryRow, 'seal'>, digest: string): string | null =>
  rowSealProblem(sealer, 'deliveries', row.id, content(row, digest), row.seal);

interface Look {
  id: string;
  approval: string;
  person: string;
  digest: string;
  at: number;
}
const lookContent = ({ approval, person, digest, at }: Look, channel: string) => ({
  v: 2,
  approval,
  person,
  digest,
  at,
  openIn: channel,
});

/** Says that they have looked at this very action, and that the channel, asked after that, said that they had not answered yet. */
export const sealLook = (sealer: Sealer, look: Look, channel: string): Uint8Array =>
  sealRow(sealer, 'approval_looks', look.id, lookContent(look, channel));
export const lookId = (approval: string, person: string) => `${approval}/${person}`;

interface Of {
  approval: string;
  digest: string;
  channel: string;
  person: string;
}

/**
 * INVARIANT: whoever says yes where they are told has seen all that they say yes to: in the message, or on the page, before the place said that
 * nobody had answered yet.
 */
export async function wasShown(transaction: DatabaseTransaction, of: Of, sealer: Sealer): Promise<boolean> {
  const told = await transaction
    .selectFrom('deliveries')
    .selectAll()
    .where('approval', '=', of.approval)
    .where('channel', '=', of.channel)
    .where('event', '=', 'asked')
    .where('state', '=', 'sent')
    .execute();
  if (told.length === 0 || told.some((row) => toldProblem(sealer, row, of.digest) !== null)) return false;
  if (told.every(({ whole }) => Number(whole) === 1)) return true;
  return told.some(({ recipient }) => recipient === of.person) && (await hasLooked(transaction, of, sealer));
}

/** Whether this person looked at this very action before they could have answered in this channel. */
export async function hasLooked(
  database: Database | DatabaseTransaction,
  { approval, digest, channel, person }: Of,
  sealer: Sealer,
): Promise<boolean> {
  const id = lookId(approval, person);
  const row = await database.selectFrom('approval_looks').selectAll().where('id', '=', id).executeTakeFirst();
  if (row?.digest !== digest) return false;
  return rowSealProblem(sealer, 'approval_looks', id, lookContent(row, channel), row.seal) === null;
}
