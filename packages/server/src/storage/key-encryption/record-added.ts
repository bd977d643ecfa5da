import type { RecordChange, Storage } from '../storage.ts';
import type { KeyRing } from './key-ring.ts';

/** Puts on record which key-encryption keys this start has added, if any. */
export async function recordAddedKeys(
  { added }: Pick<KeyRing, 'added'>,
  { storage, recordChange }: { storage: Storage; recordChange: RecordChange },
): Promise<void> {
  if (added.length === 0) return;
  const changes = added.map(({ id, source }) => `key-encryption key ${id} from ${source}`);
  await storage.transaction((transaction) =>
    recordChange(transaction, { operation: 'key-encryption.add', by: 'gatehouse', changes }),
  );
}
