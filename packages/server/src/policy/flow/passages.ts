import { isJsonObject, type Json } from '../../platform/index.ts';
import type { Effort } from './effort.ts';
import { namesIn } from './origin.ts';
import { destinationRoles } from './roles.ts';
import type { Seen } from './seen.ts';
import type { Origins } from './worked-out.ts';

/**
 * A passage of what was read may go to whom a person named: that is what they asked for. Not where untrusted content names them as well, since
 * it may then have asked for it; and an address that it brings never goes along unseen.
 */
export function clearPassages(origins: Origins, given: Json, seen: readonly Seen[], effort: Effort): void {
  const args = isJsonObject(given) ? given : {};
  const passages = Object.entries(origins).filter(
    ([, { role, provenance, isWhole }]) => role === 'content' && provenance === 'untrusted' && !isWhole,
  );
  if (passages.length === 0) return;
  const destinations = Object.entries(origins).filter(([, { role }]) => destinationRoles.includes(role));
  const isNamedByPeople = destinations.every(
    ([, { provenance }]) => provenance === 'stated' || provenance === 'endorsed',
  );
  if (destinations.length === 0 || !isNamedByPeople) return;
  const isNamedByContent = destinations.some(([argument, { role }]) =>
    namesIn(args[argument], role).some((value) => seen.some((each) => each.inUntrustedText(value, role, effort))),
  );
  if (isNamedByContent) return;
  for (const [argument, origin] of passages) origins[argument] = { ...origin, provenance: 'unknown' };
}
