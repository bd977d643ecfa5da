import { type ArgumentRole, argumentRole } from '@gatehouse/protocol';
import type { Json } from '../../platform/index.ts';
import type { RegisteredTool } from '../../registry/index.ts';
import { canonical } from './canonical.ts';
import { newEffort } from './effort.ts';
import { flowLimits } from './limits.ts';
import { type Known, namesIn, originOfArgument } from './origin.ts';
import type { Result } from './seen.ts';
import { holdsValue } from './statement.ts';

/**
 * What a result says again of its own call has been chosen by whoever made the call, however far its server is trusted: it vouches for a value
 * only where something vouched for it before. Looked at before the result is kept.
 */
export function echoOf(given: Json, tool: RegisteredTool, known: Known): Pick<Result, 'echoes' | 'echoedIn'> {
  const effort = newEffort();
  const scalars = new Map<string, { name: string; value: string | number }>();
  collect(given, '', scalars);
  if (scalars.size === 0) return {};
  const namesOf = new Map<string, string[]>();
  for (const { name, value } of scalars.values()) {
    const writing = canonical(value, 'name') ?? '';
    namesOf.set(writing, [...(namesOf.get(writing) ?? []), name]);
  }
  const unvouched = new Map<ArgumentRole, Set<string>>();

  /** The writings, by their role, of what nothing vouches for. */
  function unvouchedAs(role: ArgumentRole): Set<string> {
    const before = unvouched.get(role);
    if (before) return before;
    const found = new Set<string>();
    let looked = 0;
    for (const { name, value } of scalars.values())
      for (const each of role === 'recipient' ? namesIn(value, role) : [value]) {
        const writing = canonical(each, role);
        if (writing === null) continue;
        const isLooked = ++looked <= flowLimits.valuesPerCall;
        const provenance = isLooked ? originOfArgument(name, each, role, known, effort)?.provenance : 'unknown';
        if (provenance === 'unknown' || provenance === 'untrusted') found.add(writing);
      }
    unvouched.set(role, found);
    return found;
  }

  const says = (value: string | number, role: ArgumentRole) => {
    const writing = canonical(value, role);
    return writing !== null && unvouchedAs(role).has(writing);
  };
  const rolesOf = (name: string) => (Object.hasOwn(tool.labels.roles, name) ? tool.labels.roles[name] : undefined);

  return {
    echoes(value, role) {
      if (role !== null) return says(value, role);
      // Nobody has said what it stands for: it is compared as what it stood for in the call.
      const names = namesOf.get(canonical(value, 'name') ?? '') ?? [];
      return names.some((name) => says(value, rolesOf(name) ?? 'identifier'));
    },
    echoedIn(text) {
      const found = new Set<string>();
      for (const role of argumentRole.options)
        if (role !== 'content')
          for (const writing of unvouchedAs(role)) if (holdsValue(text, writing, role)) found.add(`${role} ${writing}`);
      return found;
    },
  };
}

/** By the argument in which they stand. */
function collect(value: Json, name: string, into: Map<string, { name: string; value: string | number }>): void {
  if (typeof value === 'string' || typeof value === 'number') {
    if (String(value).length <= flowLimits.valueChars) into.set(`${name} ${value}`, { name, value });
  } else if (typeof value === 'object' && value !== null)
    for (const [key, each] of Object.entries(value)) collect(each, name === '' ? key : name, into);
}
