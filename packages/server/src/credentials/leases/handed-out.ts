import type { Clock } from '../../platform/index.ts';
import type { Sealer, Storage } from '../../storage/index.ts';
import { digestOf, holderOf } from './holder.ts';
import type { InHand } from './in-hand.ts';
import { keyProblem } from './keyed.ts';
import type { OpenedProvider } from './make.ts';
import { nameOf, openCredential } from './rows.ts';
import type { Sealing } from './seals.ts';
import type { Held, LeaseRequest } from './types.ts';

/** A lease that a task has been handed before, with the action that did so. */
export interface HandedOut {
  held: Held;
  action: string;
}

/**
 * What the same request of the task was answered with, while that may be used: given again, it lets nobody do more than they can. Undefined where
 * another would be made; throws where its key can get nothing.
 */
export function createHandedOut({
  storage: { db },
  sealer,
  open,
  inHand,
  sealing,
  clock,
}: {
  storage: Storage;
  sealer: Sealer;
  open(provider: string, environment: string): Promise<OpenedProvider>;
  inHand: Pick<InHand, 'isFresh'>;
  sealing: Sealing;
  clock: Clock;
}) {
  return async (request: LeaseRequest): Promise<HandedOut | undefined> => {
    const { idempotencyKey: key, task } = request;
    const { narrow } = await open(request.provider, request.environment);
    const ofTask = db.selectFrom('leases').selectAll().where('task', '=', task);
    const row = await (key === undefined
      ? ofTask
          .where('ungated', '=', 1)
          .where('state', '=', 'active')
          .where('holder', '=', holderOf(request, narrow(request.asked, request.within)))
      : ofTask.where('idempotency_key', '=', key)
    ).executeTakeFirst();
    const problem = row && key !== undefined && keyProblem(row, digestOf(request), clock.now());
    if (problem) throw problem;
    if (row?.state !== 'active' || row.ungated !== 1) return undefined;
    if (!row.handed_by || !row.sealed_credential || !(await sealing.isIntact(row))) return undefined;
    const isGood = key === undefined ? inHand.isFresh(row.intended_at, row.expires_at) : row.expires_at > clock.now();
    if (!isGood) return undefined;
    const { id, provider, expires_at: expiresAt } = row;
    const lease = { id, provider, expiresAt, name: nameOf(id) };
    return { held: { lease, credential: openCredential(sealer, id, row.sealed_credential) }, action: row.handed_by };
  };
}
