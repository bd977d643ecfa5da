import type { ArgumentRole, Task, TaskFlow, TemplateManifest } from '@gatehouse/protocol';
import type { Json } from '../../platform/index.ts';
import type { RegisteredTool } from '../../registry/index.ts';
import type { DatabaseTransaction, Guard, OverBudget, Spend } from '../../storage/index.ts';
import type { FlowView } from '../situation.ts';
import type { keepEndorsed } from './endorsements.ts';
import type { Endorsement } from './held.ts';
import type { Origin } from './origin.ts';

/** A task with those that it was handed on from, nearest first: who reads for whom. */
export interface Reader {
  agent: string;
  task: Task;
  chain: readonly { agent: string; task: Task }[];
}

/** What a task has seen, and where the arguments of a call of it came from. */
export interface Flow {
  /**
   * In memory already: then there is nothing to wait for. Ask again after waiting: another call may have made this process forget meanwhile
   * what was loaded.
   */
  ready(reader: Reader): Promise<void> | undefined;
  view(
    reader: Reader,
    call: { tool: RegisteredTool; arguments: Json; template?: TemplateManifest | undefined },
  ): SeenView;
  /** Part of what starts a task that is handed on: its agent has been told what those above it have seen, the nearest first. */
  handedOn(transaction: DatabaseTransaction, task: Task, chain: readonly Task[]): Promise<void>;
  /** Part of a yes: values that its person lets stand for the rest of the task. In words, for the record. */
  endorse(transaction: DatabaseTransaction, of: Parameters<typeof keepEndorsed>[2]): Promise<string[]>;
  /** What a call counts on the endorsements that it rests on. */
  spend(reader: Reader, seen: SeenView): Spend['counters'];
  /** One of them has been used as often as it may be, so that it counts no more. False: it was something else. */
  exhaust(over: OverBudget, seen: SeenView): boolean;
  /** For people: as the database has it now. */
  show(reader: Reader): Promise<Omit<TaskFlow, 'held'>>;
  /** Removes what belongs to tasks that have been over for long. */
  sweep(): Promise<void>;
  /** A dispatch has found a fence moved. False: it is none of these. */
  moved(fence: string): boolean;
  /**
   * A call that writes: a store keeps what its writer has seen, and a task that it has written after reading sensitive data, before anything
   * is written.
   */
  storing(reader: Reader, call: { tool: RegisteredTool; actionId: string; seen: SeenView }): Promise<void> | undefined;
  /** What its dispatch says of that beside what the task has read, so that the record knows what a store has. */
  marksOf(call: { tool: RegisteredTool; seen: SeenView }): string[];
  /**
   * The labels that a result brings, durable once they are there; until then the agent gets nothing of it. Where nothing is new there is
   * nothing to wait for.
   */
  note(
    reader: Reader,
    /** `isUnseen`: it goes to the agent by another way, so that it has every label that it could have, and its values are not known here. */
    result: { tool: RegisteredTool; actionId: string; arguments: Json; body: Json; isUnseen?: boolean },
  ): readonly string[] | Promise<readonly string[]>;
}

export interface SeenView extends FlowView {
  /** As records name them: `untrusted`, `sensitive:KIND`. */
  labels: string[];
  /** What the dispatch must find unchanged. */
  guards: Guard[];
  /** By argument, for those that have a role and a value. */
  origins: Readonly<Record<string, Origin & { role: ArgumentRole }>>;
  /** Endorsements that this call rests on. */
  used: readonly Endorsement[];
}
