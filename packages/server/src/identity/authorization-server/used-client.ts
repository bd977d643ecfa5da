import type { DatabaseTransaction } from '../../storage/index.ts';
import { artifactKey } from './artifact-key.ts';
import { authorizationLimits } from './limits.ts';

/** Clients that have registered themselves, as consent sees them: apart from what needs the library, which is loaded later. */
export const DYNAMIC_CLIENT = /^dyn-[0-9a-f]{32}$/;
export const MODEL = 'Client';

/** A person has consented to it: it is remembered for longer. */
export async function useDynamicClient(transaction: DatabaseTransaction, id: string, now: number): Promise<void> {
  if (!DYNAMIC_CLIENT.test(id)) return;
  await transaction
    .updateTable('oauth_artifacts')
    .set({ expires_at: now + authorizationLimits.usedClientTtlSeconds * 1000 })
    .where('model', '=', MODEL)
    .where('id', '=', artifactKey(id))
    .execute();
}
