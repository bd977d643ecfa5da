import type { LeaseView, ProviderAbilities, SecondYesStatement } from '@gatehouse/protocol';
import type { SecondYes } from '../../identity/index.ts';
import type { Clock, Json, Log } from '../../platform/index.ts';
import type { DatabaseTransaction, Guard, RecordChange, Sealer, Storage } from '../../storage/index.ts';
import { createComparing } from './compare.ts';
import { createDropping } from './drop.ts';
import { createEnding } from './end.ts';
import { createFinding, type LeaseFilter } from './find.ts';
import { createHandedOut, type HandedOut } from './handed-out.ts';
import { createInHand } from './in-hand.ts';
import { createIssuing } from './issue.ts';
import { createMaking, ended, type OpenedProvider, stopped } from './make.ts';
import { withinQuota } from './quota.ts';
import { createRenewing } from './renew.ts';
import { lastEnd } from './rows.ts';
import { createSealing, leaseProblem, sealedLease } from './seals.ts';
import { type Alarm, type Held, type LeaseRequest, liveStates } from './types.ts';

export interface LeasesDependencies {
  storage: Storage;
  sealer: Sealer;
  /** Throws `provider.unknown` for one that is not declared in this environment. */
  open(provider: string, environment: string): Promise<OpenedProvider>;
  /** The declaration of a provider, where it is still that of the place with this digest. */
  declaredAt(provider: string, place: string): Json | undefined;
  recordChange: RecordChange;
  alarm?: Alarm | undefined;
  /** Told when there is something to end. */
  wake(): void;
  clock: Clock;
  log: Log;
}

export interface Leases {
  /** Before it is sent or given to anybody: it is known to be in use, or it is refused. `guards`: what must still hold in that transaction. */
  activate(held: Held, action?: string, guards?: readonly Guard[]): Promise<void>;
  /** What the same request was answered with before, while that may be used. */
  handedOut(request: LeaseRequest): Promise<HandedOut | undefined>;
  /** Throws `provider.unknown` for one that is not declared in this environment. */
  abilitiesOf(provider: string, environment: string): Promise<ProviderAbilities>;
  /** Throws `credential.limit` where so many were handed out that this is not. */
  withinQuota(request: LeaseRequest): Promise<void>;
  /**
   * A lease of this task for this purpose that may be used now: the one there is, or a new one. `guards`: what must still hold of agent and
   * task in the transaction that intends it. What is given out has a durable record.
   */
  issue(request: LeaseRequest, guards: readonly Guard[]): Promise<Held>;
  /** Begins to end these, in the transaction of whatever ends them. Gives their ids. */
  endWithin(
    transaction: DatabaseTransaction,
    of: { id: string } | { task: string } | { agent: string },
    by: string,
    reason: string,
  ): Promise<string[]>;
  /** The same with those whose task is over. */
  endOverWithin(transaction: DatabaseTransaction, by: string, reason: string): Promise<string[]>;
  /** Has these ended at once, and waits so long at most until they are verified to be gone. What is left works for so many seconds at most; null: until its provider is back. */
  settled(
    of: { agent?: string; ids: readonly string[] },
    waitMs: number,
  ): Promise<{ open: number; residualSeconds: number | null }>;
  /** What could not be ended for long, by provider. */
  stuck(): Promise<{ provider: string; count: number; since: number }[]>;
  openByProvider(): Promise<Map<string, { open: number; stuck: number }>>;
  end(id: string, by: string, reason: string): Promise<LeaseView>;
  /** Has it live so long from now, within the bounds that it was issued with: what kept it shorter is in `clamped`. */
  renew(id: string, by: string, ttlSeconds?: number): Promise<LeaseView>;
  /** In a workspace that was restored and replaces the one that issued them: has them ended. */
  takeOver(by: string): Promise<{ leases: number }>;
  /** Asks for a stuck one to be given up. */
  askDrop(id: string, by: string, reason: string): Promise<LeaseView>;
  /** What whoever agrees to that signs. */
  askedDrop(id: string): Promise<SecondYesStatement>;
  /** By somebody else than who asked: from then on nobody tries to end it. */
  agreeDrop(id: string, said: SecondYes): Promise<LeaseView>;
  get(id: string): Promise<LeaseView>;
  list(filter: LeaseFilter): Promise<{ leases: LeaseView[]; next: string | null }>;
  /** Ends what somebody has changed in the database. */
  look(): Promise<void>;
  /** Ends what somebody has hidden there: the record says what was issued. Reads a bounded part of a long record, and goes on with the next call. */
  compare(): Promise<void>;
  /** Forgets the credentials of what may not be used any more on this replica. */
  forget(of: { task: string } | { agent: string } | { id: string }): void;
}

/** Between two looks at what the reconciler ends. */
const POLL_MS = 10;

export function createLeases(deps: LeasesDependencies): Leases {
  const { storage, sealer, clock } = deps;
  const inHand = createInHand(clock);
  const ending = createEnding(deps);
  const find = createFinding(storage);
  const comparing = createComparing(deps);
  const make = createMaking({ ...deps, ending, inHand, keep: comparing.keep });
  const sealing = createSealing(deps);
  const renewing = createRenewing({ ...deps, sealing });
  const dropping = createDropping(deps);

  return {
    issue: createIssuing({ ...deps, inHand, make, renewing, sealing }),
    handedOut: createHandedOut({ ...deps, inHand, sealing }),
    abilitiesOf: async (provider, environment) => (await deps.open(provider, environment)).provider.abilities,
    async withinQuota({ task, agent, provider, quota }) {
      if (quota) await withinQuota(storage.db, { task, agent, provider, intended_at: clock.now() }, quota);
    },
    async activate({ lease: { id, expiresAt } }, action, guards = []) {
      if (expiresAt <= clock.now()) throw ended();
      if (inHand.isActive(id)) return;
      const changed = await storage.transaction(async (transaction) => {
        if (guards.length > 0) {
          const written = await storage.appendWithin(transaction, { guards: [...guards], records: [], bodies: [] });
          if (!written.ok) throw stopped();
        }
        const row = await transaction
          .selectFrom('leases')
          .selectAll()
          .where('id', '=', id)
          .where('state', 'in', liveStates)
          .executeTakeFirst();
        if (!row) return null;
        if (leaseProblem(sealer, row) !== null) return row;
        const handedBy = row.handed_by ?? action ?? null;
        await transaction
          .updateTable('leases')
          .set({
            ...{ state: 'active', active_at: row.active_at ?? clock.now(), handed_by: handedBy },
            seal: sealedLease(sealer, { ...row, handed_by: handedBy }).seal,
          })
          .where('id', '=', id)
          .execute();
        return undefined;
      });
      if (changed !== undefined) {
        // Read before it was ended and kept after that was heard, it would be in hand until its time is over: the next call gets another.
        inHand.forget({ id });
        if (changed) await sealing.isIntact(changed);
        throw ended();
      }
      inHand.activated(id);
    },
    endWithin: ending.within,
    endOverWithin: ending.overWithin,
    async settled(of, waitMs) {
      deps.wake();
      const giveUpAt = performance.now() + waitMs;
      let open = await find.openOf(of);
      while (open.length > 0 && performance.now() < giveUpAt) {
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
        open = await find.openOf(of);
      }
      const now = clock.now();
      if (open.some((row) => row.ends_by_itself === 0)) return { open: open.length, residualSeconds: null };
      const residual = open.map((row) => Math.max(1, Math.ceil((lastEnd(row) - now) / 1_000)));
      return { open: open.length, residualSeconds: Math.max(0, ...residual) };
    },
    async end(id, by, reason) {
      await find.get(id);
      await storage.transaction((transaction) => ending.within(transaction, { id }, by, reason));
      deps.wake();
      return find.get(id);
    },
    async renew(id, by, ttlSeconds) {
      await renewing.renew(await find.rowOf(id), ttlSeconds, by);
      return find.get(id);
    },
    async takeOver(by) {
      const taken = await storage.transaction((transaction) => ending.takeOverWithin(transaction, by));
      deps.wake();
      return { leases: taken };
    },
    async askDrop(id, by, reason) {
      await dropping.ask(id, by, reason);
      return find.get(id);
    },
    askedDrop: dropping.statement,
    async agreeDrop(id, said) {
      await dropping.agree(id, said);
      return find.get(id);
    },
    get: find.get,
    list: find.list,
    stuck: find.stuck,
    openByProvider: find.openByProvider,
    look: sealing.look,
    compare: comparing.compare,
    forget: inHand.forget,
  };
}
