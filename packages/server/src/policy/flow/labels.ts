import type { ArgumentRole } from '@gatehouse/protocol';
import type { Clock } from '../../platform/index.ts';
import {
  type DatabaseTransaction,
  type Guard,
  rowSealProblem,
  type Sealer,
  type Storage,
} from '../../storage/index.ts';
import { flowLimits } from './limits.ts';

/** The result that brought a label first. */
export interface LabelSource {
  label: string;
  tool: string;
  actionId: string;
  task: string;
  /** Milliseconds since the epoch. */
  at: number;
}

/** What one holder (a task, an agent, a store) has seen, as it was at a version. */
export interface HeldLabels {
  holder: string;
  version: number;
  labels: ReadonlyMap<string, LabelSource>;
  /** Of a task. */
  endorsements: readonly Endorsement[];
}

/** A value that a person lets stand for the rest of a task. */
export interface Endorsement {
  id: string;
  role: ArgumentRole;
  /** As it is compared. */
  value: string;
  /** As it was signed. */
  shown: string;
  /** For which calls: see `coveredBy`. */
  covers: string;
  approval: string;
  person: string;
  at: number;
}

/** What was seen long ago is no longer in what goes on. What was seen lately is not written again each time (`ms`). */
export const isRecent = (holder: string, { label, at }: LabelSource, now: number, ms: number = AGENT_MS): boolean =>
  isForEver(holder, label) || at > now - ms;

export interface Change {
  holder: string;
  labels: readonly string[];
}

export interface Labels {
  /** From memory; undefined when it has to be loaded. */
  known(holder: string): HeldLabels | undefined;
  load(holders: readonly string[]): Promise<void>;
  /**
   * Durable when it resolves. Those of `changes` that are known already cost nothing: then there is nothing to wait for. `more`: what goes with
   * them, if anything is to be written.
   */
  add(
    changes: readonly Change[],
    source: Omit<LabelSource, 'label' | 'at'>,
    more?: (transaction: DatabaseTransaction) => Promise<Change[]>,
  ): Promise<void> | undefined;
  /** As part of what happens to its holders. */
  write(
    transaction: DatabaseTransaction,
    changes: readonly Change[],
    source: Omit<LabelSource, 'label' | 'at'>,
  ): Promise<void>;
  /** As they are in the database. */
  read(database: DatabaseTransaction, holders: readonly string[]): Promise<(LabelSource & { holder: string })[]>;
  /** A dispatch has found that somebody else has added to it. */
  forget(holder: string): void;
}

const TASK = 'task/';
const isOfTask = (holder: string) => holder.startsWith(TASK);
export const holderOfTask = (task: string) => `${TASK}${task}`;
export const holderOfAgent = (agent: string) => `agent/${agent}`;
/** What an agent has seen in tasks for one person, or for nobody. */
export const holderOfAgentFor = (agent: string, user: string | null) => `${holderOfAgent(agent)}/${user ?? ''}`;
/** Not a label that anybody is shown: which process has the texts that were read. */
export const READ_BY = 'read-by:';
export const guardOf = ({ holder, version }: HeldLabels): Guard => ({ key: `flow:${holder}`, version });

const AGENT_MS = flowLimits.agentHours * 3_600_000;
const isOfAgent = (holder: string) => holder.startsWith('agent/');
/** Of what an agent has seen in all there is no end: only its texts are not looked through for ever. */
const isForEver = (holder: string, label: string) =>
  !isOfAgent(holder) || (!/^agent\/[^/]*\//.test(holder) && !label.startsWith(READ_BY));

/**
 * Labels in memory, the most recently used last, over those in the database. INVARIANT: a version in memory is never newer than the labels
 * that stand beside it, so that a dispatch which finds it unchanged was decided with all that had been seen.
 */
export function createLabels({ storage, clock, sealer }: { storage: Storage; clock: Clock; sealer: Sealer }): Labels {
  const held = new Map<string, HeldLabels>();

  function put(labels: HeldLabels): void {
    held.delete(labels.holder);
    held.set(labels.holder, labels);
    if (held.size <= flowLimits.tasks) return;
    for (const oldest of held.keys()) {
      held.delete(oldest);
      break;
    }
  }

  return {
    known(holder) {
      const found = held.get(holder);
      if (found) {
        held.delete(holder);
        held.set(holder, found);
      }
      return found;
    },

    async read(database, holders) {
      const rows = await database.selectFrom('flow_labels').selectAll().where('holder', 'in', holders).execute();
      return rows
        .map(({ holder, action_id, ...row }) => ({ holder, ...row, actionId: action_id }))
        .filter((row) => isRecent(row.holder, row, clock.now()));
    },

    async load(holders) {
      const keys = holders.map((holder) => `flow:${holder}`);
      // Versions first: what is added between the two reads is then found by the dispatch.
      const fences = await storage.db.selectFrom('fences').selectAll().where('key', 'in', keys).execute();
      const rows = await storage.db.selectFrom('flow_labels').selectAll().where('holder', 'in', holders).execute();
      const tasks = holders.filter(isOfTask).map((holder) => holder.slice(TASK.length));
      const endorsed =
        tasks.length === 0
          ? []
          : await storage.db
              .selectFrom('flow_endorsements')
              .selectAll()
              .where('task', 'in', tasks)
              .orderBy('id')
              .execute();
      const versions = new Map(fences.map(({ key, version }) => [key, version]));
      for (const holder of holders) {
        const own = rows
          .filter((row) => row.holder === holder)
          .map(({ label, tool, action_id, task, at }): LabelSource => ({ label, tool, actionId: action_id, task, at }))
          .filter((label) => isRecent(holder, label, clock.now()));
        put({
          holder,
          version: versions.get(`flow:${holder}`) ?? 0,
          labels: new Map(own.map((each) => [each.label, each])),
          endorsements: endorsed
            .filter(({ task }) => holder === holderOfTask(task))
            // Nobody endorsed what was written into the database.
            .filter(
              ({ seal, ...row }) =>
                rowSealProblem(sealer, 'flow_endorsements', row.id, { v: 1, ...row }, seal) === null,
            )
            .map(({ task: _, seal: __, role, ...rest }) => ({ ...rest, role: role as ArgumentRole })),
        });
      }
    },

    add(changes, source, more) {
      const missing = changes.flatMap(({ holder, labels }) => {
        const own = labels.filter((label) => {
          const known = held.get(holder)?.labels.get(label);
          return !known || !isRecent(holder, known, clock.now(), AGENT_MS / 2);
        });
        return own.length === 0 ? [] : [{ holder, labels: own }];
      });
      if (missing.length === 0) return undefined;
      return storage.transaction(async (transaction) =>
        write(transaction, [...missing, ...((await more?.(transaction)) ?? [])], source),
      );
    },

    write,

    forget(holder) {
      held.delete(holder);
    },
  };

  /** What counts no more, of a holder that is written to anyway. */
  async function forgetOld(transaction: DatabaseTransaction, holder: string): Promise<void> {
    const old = transaction
      .deleteFrom('flow_labels')
      .where('holder', '=', holder)
      .where('at', '<=', clock.now() - AGENT_MS);
    await (isForEver(holder, '') ? old.where('label', 'like', `${READ_BY}%`) : old).execute();
  }

  async function write(
    transaction: DatabaseTransaction,
    changes: readonly Change[],
    { tool, actionId, task }: Omit<LabelSource, 'label' | 'at'>,
  ): Promise<void> {
    for (const { holder, labels } of changes) {
      if (isOfAgent(holder)) await forgetOld(transaction, holder);
      for (const label of labels)
        await transaction
          .insertInto('flow_labels')
          .values({ holder, label, tool, action_id: actionId, task, at: clock.now() })
          .onConflict((conflict) =>
            isOfAgent(holder)
              ? conflict.columns(['holder', 'label']).doUpdateSet({ at: clock.now(), tool, action_id: actionId, task })
              : conflict.doNothing(),
          )
          .execute();
    }
    await storage.bumpFences(
      transaction,
      changes.map(({ holder }) => `flow:${holder}`),
    );
    // Read again when it is next asked for: another replica may have added something between.
    for (const { holder } of changes) held.delete(holder);
  }
}
