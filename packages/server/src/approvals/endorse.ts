import type { EndorsedValue } from '@gatehouse/protocol';
import { GatehouseError } from '../platform/index.ts';

/** A person endorses what was held and shown to them, and nothing else. */
export function requireHeld(
  origins: readonly { held: readonly EndorsedValue[] }[],
  endorse: readonly EndorsedValue[],
): void {
  if (endorse.length === 0) return;
  const held = new Set(origins.flatMap((origin) => origin.held.map(keyOf)));
  const strange = endorse.find((each) => !held.has(keyOf(each)));
  if (strange)
    throw new GatehouseError(
      'bad-request',
      'approval.endorse',
      `"${strange.value.slice(0, 100)}" is not among the values that this call was held for, so that it can't be endorsed with it.`,
    );
}

const keyOf = ({ role, value, for: covers }: EndorsedValue) => JSON.stringify([role, value, covers]);
