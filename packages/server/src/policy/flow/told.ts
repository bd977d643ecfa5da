import { type TemplateManifest, toolPatternMatches } from '@gatehouse/protocol';
import { isJsonObject, type Json } from '../../platform/index.ts';
import type { RegisteredTool } from '../../registry/index.ts';
import { isVouched } from './holders.ts';
import type { Told } from './origin.ts';
import type { Reader } from './types.ts';

/** Intent and parameters of each task that somebody vouches for; whom it is for is verified in any case. */
export function toldTo(reader: Reader, literals: readonly (string | number)[] = []): Told {
  const texts: string[] = [];
  const values: (string | number)[] = [...literals];
  for (const { task } of [{ task: reader.task }, ...reader.chain]) {
    if (task.user !== null) values.push(task.user);
    if (!isVouched(task)) continue;
    texts.push(task.intent);
    for (const value of Object.values(task.parameters)) {
      if (typeof value === 'boolean') continue;
      values.push(value);
      if (typeof value === 'string') texts.push(value);
    }
  }
  return { texts, values };
}

/** Values that the template itself gives for an argument: its author has written them. */
export function literalsOf(template: TemplateManifest, tool: RegisteredTool, argument: string): (string | number)[] {
  return template.allow.flatMap(({ tools, when }) => {
    const value = when && Object.hasOwn(when, argument) ? when[argument] : undefined;
    if (typeof value !== 'string' && typeof value !== 'number') return [];
    if (typeof value === 'string' && value.startsWith('$')) return [];
    return !tools || tools.some((pattern) => toolPatternMatches(pattern, tool.ref)) ? [value] : [];
  });
}

/** What the tool does anyway when nothing is given, as it was reviewed. */
export function isDefault(tool: RegisteredTool, argument: string, value: Json): boolean {
  const schema = tool.definition?.inputSchema;
  const properties = isJsonObject(schema) ? schema.properties : undefined;
  const property = isJsonObject(properties) && Object.hasOwn(properties, argument) ? properties[argument] : undefined;
  if (!isJsonObject(property) || property.default === undefined) return false;
  return typeof value !== 'object' && property.default === value;
}
