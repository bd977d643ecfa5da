import type { ArgumentRole } from '@gatehouse/protocol';
import type { Clock } from '../../platform/index.ts';
import type { Guard, Storage } from '../../storage/index.ts';
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
  approval: string;
  person: string;
  at: number;
}

export interface Labels {
  /** From memory; undefined when it has to be loaded. */
  known(holder: string): HeldLabels | undefined;
  load(holders: readonly string[]): Promise<void>;
  /** Durable when it resolves. Those of `changes` that are known already cost nothing: then there is nothing to wait for. */
  add(
    changes: readonly { holder: string; labels: readonly string[] }[],
    source: Omit<LabelSource, 'label' | 'at'>,
  ): Promise<void> | undefined;
  /** A dispatch has found that somebody else has added to it. */
  forget(holder: string): void;
}

const TASK = 'task/';
const isOfTask = (holder: string) => holder.startsWith(TASK);
export const holderOfTask = (task: string) => `${TASK}${task}`;
export const holderOfAgent = (agent: string) => `agent/${agent}`;
export const guardOf = ({ holder, version }: HeldLabels): Guard => ({ key: `flow:${holder}`, version });

const AGENT_MS = flowLimits.agentHours * 3_600_000;
const isOfAgent = (holder: string) => holder.startsWith('agent/');

/**
 * Labels in memory, the most recently used last, over those in the database. INVARIANT: a version in memory is never newer than the labels
 * that stand beside it, so that a dispatch which finds it unchanged was decided with all that had been seen.
 */
export function createLabels({ storage, clock }: { storage: Storage; clock: Clock }): Labels {
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

  /** What an agent has seen long ago is no longer in what it starts. What was seen lately is not written again each time. */
  const isRecent = (holder: string, { at }: LabelSource, ms: number) => !isOfAgent(holder) || at > clock.now() - ms;

  return {
    known(holder) {
      const found = held.get(holder);
      if (found) {
        held.delete(holder);
        held.set(holder, found);
      }
      return found;
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
          .filter((label) => isRecent(holder, label, AGENT_MS));
        put({
          holder,
          version: versions.get(`flow:${holder}`) ?? 0,
          labels: new Map(own.map((each) => [each.label, each])),
          endorsements: endorsed
            .filter(({ task }) => holder === holderOfTask(task))
            .map(({ task: _, role, ...rest }) => ({ ...rest, role: role as ArgumentRole })),
        });
      }
    },

    add(changes, { tool, actionId, task }) {
      const rows = changes.flatMap(({ holder, labels }) =>
        labels
          .filter((label) => {
            const known = held.get(holder)?.labels.get(label);
            return !known || !isRecent(holder, known, AGENT_MS / 2);
          })
          .map((label) => ({ holder, label, tool, action_id: actionId, task, at: clock.now() })),
      );
      if (rows.length === 0) return undefined;
      return write(rows);
    },

    forget(holder) {
      held.delete(holder);
    },
  };

  async function write(
    rows: { holder: string; label: string; tool: string; action_id: string; task: string; at: number }[],
  ): Promise<void> {
    const holders = [...new Set(rows.map(({ holder }) => holder))];
    await storage.transaction(async (transaction) => {
      for (const row of rows)
        await transaction
          .insertInto('flow_labels')
          .values(row)
          .onConflict((conflict) =>
            isOfAgent(row.holder)
              ? conflict
                  .columns(['holder', 'label'])
                  .doUpdateSet({ at: row.at, tool: row.tool, action_id: row.action_id, task: row.task })
              : conflict.doNothing(),
          )
          .execute();
      await storage.bumpFences(
        transaction,
        holders.map((holder) => `flow:${holder}`),
      );
    });
    // Read again when it is next asked for: another replica may have added something between.
    for (const holder of holders) held.delete(holder);
  }
}
