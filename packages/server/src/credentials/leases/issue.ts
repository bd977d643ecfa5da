import { type Clock, GatehouseError, type Json, newId } from '../../platform/index.ts';
import type { Guard, Sealer, Storage } from '../../storage/index.ts';
import { digestOf, holderOf } from './holder.ts';
import type { InHand } from './in-hand.ts';
import { createKeyedIssuing } from './keyed.ts';
import { leaseLimits } from './limits.ts';
import type { Make, OpenedProvider, Wanted } from './make.ts';
import type { Renewing } from './renew.ts';
import { type LeaseRow, openCredential } from './rows.ts';
import type { Sealing } from './seals.ts';
import { type Held, type LeaseRequest, liveStates } from './types.ts';

export interface IssuingDependencies {
  storage: Storage;
  sealer: Sealer;
  /** Throws `provider.unknown` for one that is not declared in this environment. */
  open(provider: string, environment: string): Promise<OpenedProvider>;
  inHand: InHand;
  make: Make;
  renewing: Renewing;
  sealing: Sealing;
  clock: Clock;
}

/** Between two looks at what another replica makes. */
const POLL_MS = 50;

/** One lease for a task and a purpose, however often and at however many replicas it is asked for at once. */
export function createIssuing({ storage, sealer, open, inHand, make, renewing, sealing, clock }: IssuingDependencies) {
  const making = new Map<string, Promise<Held>>();
  const issueOnce = createKeyedIssuing({ storage, sealer, make, sealing, clock });

  async function findOrMake(wanted: Wanted, opened: OpenedProvider, guards: readonly Guard[]): Promise<Held> {
    for (const giveUpAt = clock.now() + leaseLimits.createMs; ; ) {
      const row = await storage.db
        .selectFrom('leases')
        .selectAll()
        .where('holder', '=', wanted.holder)
        .where('state', 'in', ['intended', ...liveStates])
        .executeTakeFirst();
      if (row && !(await sealing.isIntact(row))) continue;
      if (!row) {
        try {
          return await make(wanted, opened, guards);
        } catch (error) {
          // Another replica was first: what it makes is for the same task, and as good.
          if (!(error instanceof GatehouseError && error.code === 'lease.elsewhere')) throw error;
        }
      } else if (row.state !== 'intended' && row.sealed_credential) {
        if (inHand.isFresh(row.intended_at, row.expires_at))
          return inHand.remember(row, openCredential(sealer, row.id, row.sealed_credential));
        if (!(await renewing.inUse(row, opened))) {
          await replace(row);
          continue;
        }
      }
      if (clock.now() > giveUpAt)
        throw new GatehouseError(
          'timeout',
          'lease.timeout',
          `No credential of ${wanted.provider} was there in time. Try again.`,
        );
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** One that runs out, and is not renewed, gives way to the next; it stays usable for the calls that have it until its time is over. */
  async function replace(row: LeaseRow): Promise<void> {
    inHand.drop(row.holder);
    await storage.transaction(async (transaction) => {
      await transaction
        .updateTable('leases')
        .set({ holder: `${row.holder} ${row.id}` })
        .where('id', '=', row.id)
        .where('holder', '=', row.holder)
        .execute();
    });
  }

  return async function issue(request: LeaseRequest, guards: readonly Guard[]): Promise<Held> {
    const opened = await open(request.provider, request.environment);
    const scope = issuedFor(opened, request);
    const holder = holderOf(request, scope);
    const isShared = request.idempotencyKey === undefined && !request.singleUse;
    const there = isShared && inHand.fresh(holder);
    if (there) return there;
    const alone = { ...request, scope, digest: digestOf(request), holder: `${holder} ${newId('lse', clock.now())}` };
    if (request.idempotencyKey !== undefined)
      return issueOnce({ ...alone, idempotencyKey: request.idempotencyKey }, opened, guards);
    if (request.singleUse) return make(alone, opened, guards);
    const begun = making.get(holder);
    if (begun) return begun;
    const made = findOrMake({ ...alone, holder }, opened, guards).finally(() => making.delete(holder));
    making.set(holder, made);
    return made;
  };
}

/** What is issued for a request; throws where nothing is. Asks nobody. */
export function issuedFor(
  opened: Pick<OpenedProvider, 'destinations' | 'narrow'>,
  request: Pick<LeaseRequest, 'provider' | 'destination' | 'ungated' | 'asked' | 'within'>,
): Json {
  if (opened.destinations && request.ungated)
    throw new GatehouseError(
      'forbidden',
      'lease.gate-only',
      `What "${request.provider}" has outlives every task, so that it is given to nobody. Use it through a tool server.`,
    );
  if (opened.destinations && !opened.destinations.includes(request.destination ?? ''))
    throw new GatehouseError(
      'forbidden',
      'lease.destination',
      `What "${request.provider}" has is for ${opened.destinations.join(', ') || 'nothing yet'} only, and is not sent to ${request.destination ?? 'anything else'}. If it belongs there, add it to its \`for\`.`,
    );
  return opened.narrow(request.asked, request.within);
}
