import { randomUUID } from 'node:crypto';
import type { Clock } from '../../platform/index.ts';
import { type HeldLabels, holderOfTask, isRecent } from './held.ts';
import { holdersOfLink, isConsented, knowledgeOf } from './holders.ts';
import type { Labels } from './labels.ts';
import { READ_BY } from './marks.ts';
import type { Memory, Others, ReadState } from './memory.ts';
import type { Known } from './origin.ts';
import { toldTo } from './told.ts';
import type { Reader } from './types.ts';

/** A task with those that it was handed on from. */
export const linksOf = ({ agent, task, chain }: Reader) => [{ agent, task }, ...chain];

/** What is known of what somebody has read: the labels say what, and which process has the texts; the memory of this one has its own. */
export function createReading(labels: Labels, memory: Memory, clock: Clock) {
  /** This one, for as long as it runs: another one has not its memory. */
  const readBy = `${READ_BY}${randomUUID()}`;

  const holdersOf = (reader: Reader): string[] => [...new Set(linksOf(reader).flatMap(holdersOfLink))];

  const heldOf = (reader: Reader): HeldLabels[] =>
    holdersOf(reader).map((holder) => {
      const held = labels.known(holder);
      if (!held) throw new Error(`the labels of ${holder} are not loaded`);
      return held;
    });

  const stateOf = (all: readonly string[]): ReadState => ({
    here: all.includes(readBy),
    elsewhere: all.some((label) => label.startsWith(READ_BY) && label !== readBy),
  });

  function readStateOf(known: HeldLabels | undefined): ReadState {
    if (!known) return { here: true, elsewhere: false };
    const all = [...known.labels.values()].filter((label) => isRecent(known.holder, label, clock.now()));
    return stateOf(all.map(({ label }) => label));
  }

  /** What the agent of a task behind which nobody stands knows from its other tasks. */
  function othersFor(reader: Reader, held: readonly HeldLabels[]): Others {
    const own = new Set(linksOf(reader).map(({ task }) => task.id));
    const all = linksOf(reader).flatMap((link) =>
      knowledgeOf(link).map((knower) => {
        const others = memory.others(knower, readStateOf(held.find(({ holder }) => holder === knower)), own);
        // Who consents has seen what it is about: that other replicas have read for this agent does not make it unknown.
        return isConsented(link.task) ? { ...others, isComplete: true } : others;
      }),
    );
    return { seen: all.flatMap(({ seen }) => seen), isComplete: all.every(({ isComplete }) => isComplete) };
  }

  /** What vouches for a value that a call has given: not what a person endorsed for such calls alone. */
  function knownBefore(reader: Reader): Known {
    const held = holdersOf(reader).flatMap((holder) => labels.known(holder) ?? []);
    const seen = linksOf(reader).map(({ task }) =>
      memory.of(task.id, readStateOf(labels.known(holderOfTask(task.id)))),
    );
    return { told: toldTo(reader), seen, others: othersFor(reader, held), endorsed: () => false };
  }

  return { readBy, holdersOf, heldOf, stateOf, readStateOf, othersFor, knownBefore };
}
