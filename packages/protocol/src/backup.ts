import { z } from 'zod';

export const backupBodies = { backUp: z.strictObject({}) } as const;

export interface BackupApi {
  /** Recorded, and every record until now is under the checkpoint: what is copied next holds both. */
  'POST /backup': { version: string; trustDomain: string; checkpoint: string | null };
}
