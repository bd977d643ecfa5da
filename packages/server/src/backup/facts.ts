import type { BackedUpKey, BackedUpLog, BackupManifest } from './types.ts';

/** Runs one statement on the copied state; parameters stand as `?`. */
export type Query = (sql: string, ...parameters: string[]) => Promise<Record<string, unknown>[]>;

/** What the manifest says of the database, read from the very state that is backed up. */
export async function readFacts(query: Query): Promise<Pick<BackupManifest, 'schema' | 'logs' | 'keyEncryption'>> {
  const [newest] = await query('select max(name) as name from migrations');
  const logs: BackedUpLog[] = [];
  for (const { id, replica, vkey } of await query('select id, replica, vkey from logs order by id')) {
    const [records] = await query('select max(sequence) as last from records where log = ?', id as string);
    const [signed] = await query('select note from checkpoints where log = ? order by size desc limit 1', id as string);
    const size = records?.last === null || records?.last === undefined ? 0 : Number(records.last) + 1;
    logs.push({
      id: id as string,
      replica: replica as string,
      vkey: vkey as string,
      size,
      checkpoint: (signed?.note as string | undefined) ?? null,
    });
  }
  const keys = await query('select id, source, wrapped, state, created_at from key_encryption_keys order by id');
  const keyEncryption = keys.map(
    ({ created_at, ...key }): BackedUpKey => ({
      ...(key as Omit<BackedUpKey, 'createdAt'>),
      createdAt: Number(created_at),
    }),
  );
  return { schema: String(newest?.name ?? ''), logs, keyEncryption };
}
