import { hash, randomBytes } from 'node:crypto';

/**
 * Remembers for a short time which one-time identifiers this replica has seen. Entries are 64 bits of a keyed hash in flat
 * tables (8 bytes each, grown as needed), so a busy minute costs megabytes and an idle one nothing. A chance collision refuses
 * one fresh identifier in about 10^13; it never lets a used one pass.
 */
export interface ReplayWindow {
  /** `fresh` the first time within the window, then `replayed`; `full` when it can remember no more (refuse then). */
  add(id: string, now: number): 'fresh' | 'replayed' | 'full';
}

/** Identifiers per generation. One core verifies fewer signatures than this in a generation, so honest load never fills it. */
const MAX_ENTRIES = 1 << 20;
const FIRST_SLOTS = 1 << 10;

interface Generation {
  /** Pairs of halves; (0, 0) is an empty slot. */
  slots: Uint32Array;
  entries: number;
}

const emptyGeneration = (): Generation => ({ slots: new Uint32Array(2 * FIRST_SLOTS), entries: 0 });

/** Every identifier is remembered for at least `retentionMs`. */
export function createReplayWindow(retentionMs: number, maxEntries = MAX_ENTRIES): ReplayWindow {
  // Keyed, so that nobody outside can choose identifiers that collide.
  const key = randomBytes(16).toString('hex');
  const spanMs = retentionMs / 2;
  let generations = [emptyGeneration(), emptyGeneration(), emptyGeneration()];
  let currentSpan = 0;

  const advanceTo = (span: number) => {
    // A clock set back must not throw generations away: they stay until time has caught up.
    for (let steps = Math.min(span - currentSpan, generations.length); steps > 0; steps--)
      generations = [emptyGeneration(), ...generations.slice(0, -1)];
    currentSpan = Math.max(currentSpan, span);
  };

  return {
    add(id, now) {
      advanceTo(Math.floor(now / spanMs));
      const digest = hash('sha256', `${key}${id}`, 'buffer');
      const low = digest.readUInt32LE(0) || 1;
      const high = digest.readUInt32LE(4);
      if (generations.some((generation) => has(generation, low, high))) return 'replayed';
      const current = generations[0] as Generation;
      if (current.entries >= maxEntries) return 'full';
      if (4 * (current.entries + 1) > current.slots.length) grow(current);
      put(current.slots, low, high);
      current.entries++;
      return 'fresh';
    },
  };
}

function has({ slots, entries }: Generation, low: number, high: number): boolean {
  if (entries === 0) return false;
  const mask = slots.length / 2 - 1;
  for (let at = low & mask; ; at = (at + 1) & mask) {
    const found = slots[2 * at];
    if (found === 0) return false;
    if (found === low && slots[2 * at + 1] === high) return true;
  }
}

function put(slots: Uint32Array, low: number, high: number): void {
  const mask = slots.length / 2 - 1;
  let at = low & mask;
  while (slots[2 * at] !== 0) at = (at + 1) & mask;
  slots[2 * at] = low;
  slots[2 * at + 1] = high;
}

function grow(generation: Generation): void {
  const slots = new Uint32Array(2 * generation.slots.length);
  for (let at = 0; at < generation.slots.length; at += 2) {
    const low = generation.slots[at] as number;
    if (low !== 0) put(slots, low, generation.slots[at + 1] as number);
  }
  generation.slots = slots;
}
