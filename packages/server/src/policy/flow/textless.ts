import { isJsonObject, type Json } from '../../platform/index.ts';
import type { RegisteredTool } from '../../registry/index.ts';
import type { Told } from './origin.ts';
import { graveRoles } from './roles.ts';
import type { Seen } from './seen.ts';
import { holdsDay } from './statement.ts';
import type { Origins } from './worked-out.ts';

/**
 * Nothing in a call could carry away what its task has read: it names things that were vouched for, choices that the tool itself offers, and
 * times on days that were vouched for. At least one thing, so that it is about something.
 */
export function isTextless(
  tool: RegisteredTool,
  given: Json,
  origins: Origins,
  { told, seen }: { told: Told; seen: readonly Seen[] },
): boolean {
  if (!isJsonObject(given) || !seen.every(({ isComplete }) => isComplete)) return false;
  let things = 0;
  for (const [argument, value] of Object.entries(given)) {
    const origin = origins[argument];
    if (isNothing(value) || isChoice(tool, argument, value)) continue;
    if (origin === undefined) return false;
    const { provenance, role } = origin;
    const isVouchedFor = provenance === 'stated' || provenance === 'endorsed' || provenance === 'trusted';
    if (graveRoles.includes(role) && isVouchedFor) things++;
    else if (provenance === 'stated') continue;
    else if (role !== 'date' || !isOnKnownDay(value, told, seen)) return false;
  }
  return things > 0;
}

const isNothing = (value: Json | undefined) =>
  value === undefined || value === null || value === '' || typeof value === 'boolean';

/** One of the values that its definition lists. */
function isChoice(tool: RegisteredTool, argument: string, value: Json | undefined): boolean {
  const schema = tool.definition?.inputSchema;
  const properties = isJsonObject(schema) ? schema.properties : undefined;
  const property = isJsonObject(properties) && Object.hasOwn(properties, argument) ? properties[argument] : undefined;
  const choices = isJsonObject(property) ? property.enum : undefined;
  return Array.isArray(choices) && choices.length <= MAX_CHOICES && choices.some((choice) => choice === value);
}

/** A longer list could be an alphabet. */
const MAX_CHOICES = 20;

const time = /^(\d{4}-\d{2}-\d{2})(?:[T ]\d{2}:\d{2}(?::00(?:\.0+)?)?(?:Z|[+-]\d{2}:\d{2})?)?$/;

function isOnKnownDay(value: Json | undefined, { texts, values }: Told, seen: readonly Seen[]): boolean {
  const day = typeof value === 'string' ? time.exec(value)?.[1] : undefined;
  if (day === undefined) return false;
  return (
    texts.some((text) => holdsDay(text, day)) ||
    values.some((each) => String(each).startsWith(day)) ||
    seen.some((each) => each.hasDay(day))
  );
}
