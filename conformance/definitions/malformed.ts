import type { Json, Named } from './serving.ts';

/** Twelve ways in which a call does not fit what was approved. */
export interface Malformed {
  name: string;
  /** The call as it goes over the wire; undefined where the tool's schema leaves no room for it. */
  of(tool: Named): { tool: string; arguments: string } | undefined;
}

type Properties = Record<string, Json>;
const propertiesOf = ({ inputSchema }: Named) => ((inputSchema as Json | undefined)?.properties ?? {}) as Properties;
const requiredOf = ({ inputSchema }: Named) => ((inputSchema as Json | undefined)?.required ?? []) as string[];

/** A value that fits a schema, as far as servers use them. */
export function fitting(schema: Json): unknown {
  if (Array.isArray(schema.enum)) return schema.enum[0];
  if ('const' in schema) return schema.const;
  const [choice] = (schema.anyOf ?? schema.oneOf ?? []) as Json[];
  if (choice) return fitting(choice);
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  switch (type) {
    case 'integer':
    case 'number':
      return Number(
        schema.minimum ?? (schema.exclusiveMinimum === undefined ? 1 : Number(schema.exclusiveMinimum) + 1),
      );
    case 'boolean':
      return true;
    case 'array':
      return Array.from({ length: Number(schema.minItems ?? 1) }, () => fitting((schema.items ?? {}) as Json));
    case 'object':
      return fittingObject({ name: '', inputSchema: schema });
    case 'null':
      return null;
    default:
      if (schema.format === 'uri') return 'https://example.test/';
      return textFor(String(schema.pattern ?? ''), Number(schema.minLength ?? 1));
  }
}

const textFor = (pattern: string, length: number) =>
  ['x'.repeat(Math.max(1, length)), 'EUR', '1', '2026-01-01'].find((each) => new RegExp(pattern, 'u').test(each)) ?? '';

const fittingObject = (tool: Named): Json =>
  Object.fromEntries(requiredOf(tool).map((name) => [name, fitting(propertiesOf(tool)[name] ?? {})]));

export const fittingArguments = fittingObject;

/** The tool's arguments with one property as `change` makes it. */
function withOne(tool: Named, change: (schema: Json) => unknown): { tool: string; arguments: string } | undefined {
  for (const [name, schema] of Object.entries(propertiesOf(tool))) {
    const value = change(schema);
    if (value !== undefined)
      return { tool: tool.name, arguments: JSON.stringify({ ...fittingObject(tool), [name]: value }) };
  }
  return undefined;
}

const spread = (tool: Named, more: string) => {
  const args = JSON.stringify(fittingObject(tool));
  return { tool: tool.name, arguments: args === '{}' ? `{${more}}` : `${args.slice(0, -1)},${more}}` };
};

export const malformed: readonly Malformed[] = [
  { name: 'an argument that there is not', of: (tool) => spread(tool, '"bcc":"mallory@collect.example"') },
  {
    name: 'a required one missing',
    of: (tool) => (requiredOf(tool).length > 0 ? { tool: tool.name, arguments: '{}' } : undefined),
  },
  {
    name: 'another type',
    of: (tool) =>
      withOne(tool, ({ type }) => (type === 'string' ? { path: '/' } : type === 'object' ? 'x' : undefined)),
  },
  {
    name: 'null',
    of: (tool) =>
      withOne(tool, ({ type, nullable }) => (typeof type === 'string' && nullable !== true ? null : undefined)),
  },
  {
    name: 'a number as text',
    of: (tool) => withOne(tool, ({ type }) => (type === 'number' || type === 'integer' ? '1' : undefined)),
  },
  {
    name: 'out of bounds',
    of: (tool) =>
      withOne(tool, ({ minimum, maximum, minLength, maxLength, minItems }) => {
        if (typeof minimum === 'number') return minimum - 1;
        if (typeof maximum === 'number') return maximum + 1;
        if (typeof minLength === 'number' && minLength > 0) return '';
        if (typeof maxLength === 'number') return 'x'.repeat(maxLength + 1);
        return typeof minItems === 'number' && minItems > 0 ? [] : undefined;
      }),
  },
  {
    name: 'none of the choices',
    of: (tool) => withOne(tool, (schema) => (Array.isArray(schema.enum) ? 'none of them' : undefined)),
  },
  {
    name: 'one twice',
    of(tool) {
      const [name] = requiredOf(tool);
      return name === undefined ? undefined : spread(tool, `${JSON.stringify(name)}:${JSON.stringify('/etc/passwd')}`);
    },
  },
  { name: '__proto__', of: (tool) => spread(tool, '"__proto__":{"path":"/"}') },
  { name: 'a list of arguments', of: (tool) => ({ tool: tool.name, arguments: '[]' }) },
  { name: 'arguments as text', of: (tool) => ({ tool: tool.name, arguments: '"{}"' }) },
  {
    name: 'a name that is nearly right',
    of: (tool) => ({ tool: `${tool.name} `, arguments: JSON.stringify(fittingObject(tool)) }),
  },
];
