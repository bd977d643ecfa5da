import type { DeviationKind, SupposedCall, TemplateManifest } from '@gatehouse/protocol';
import { fromLocalInput } from './local-input.ts';
import { listOf } from './words.ts';

/** What the form has: texts, as they are typed. */
export interface Fields {
  agent: string | null;
  template: string | null;
  tool: string | null;
  user: string;
  parameters: Record<string, string>;
  arguments: string;
  untrusted: boolean;
  firstUse: boolean;
  deviation: string | null;
  sensitive: string;
  provenance: string | null;
  now: string;
  address: string;
}

export const emptyCall: Fields = {
  agent: null,
  template: null,
  tool: null,
  user: '',
  parameters: {},
  arguments: '{}',
  untrusted: false,
  firstUse: false,
  deviation: null,
  sensitive: '',
  provenance: null,
  now: '',
  address: '',
};

export const deviations = [
  { value: 'first-use', label: 'a tool that it has not used' },
  { value: 'hour', label: 'the hour' },
  { value: 'weekday', label: 'the day of the week' },
  { value: 'rate', label: 'how many calls' },
  { value: 'resource', label: 'what it is used on' },
  { value: 'amount', label: 'the amount' },
];

export const origins = [
  { value: 'stated', label: 'stated by somebody who vouches for it' },
  { value: 'trusted', label: 'a trusted result' },
  { value: 'endorsed', label: 'endorsed by a person' },
  { value: 'derived', label: 'made or worked out by the task' },
  { value: 'untrusted', label: 'untrusted content' },
  { value: 'unknown', label: 'nowhere known' },
];

type Origin = 'stated' | 'trusted' | 'endorsed' | 'derived' | 'untrusted' | 'unknown';

/** The call that the fields mean; undefined while something is missing or can't be read. */
export function readCall(
  fields: Fields,
  parameters: TemplateManifest['parameters'],
): { call: SupposedCall | undefined; problems: { arguments?: string } } {
  const args = objectOf(fields.arguments);
  if (args === undefined)
    return { call: undefined, problems: { arguments: 'It has to be a JSON object: { "order": 1042 }' } };
  if (fields.tool === null) return { call: undefined, problems: {} };
  const now = fromLocalInput(fields.now);
  const sensitive = listOf(fields.sensitive);
  const given = Object.entries(parameters).flatMap(([name, { type }]) => {
    const text = fields.parameters[name] ?? '';
    return text === '' ? [] : [[name, typed(text, type)] as const];
  });
  const call: SupposedCall = {
    tool: fields.tool,
    arguments: args,
    ...(fields.agent !== null && { agent: fields.agent }),
    ...(fields.template !== null && { template: fields.template }),
    ...(given.length > 0 && { parameters: Object.fromEntries(given) }),
    ...(fields.user.trim() !== '' && { user: fields.user.trim() }),
    situation: {
      untrusted: fields.untrusted,
      firstUse: fields.firstUse,
      ...(fields.deviation !== null && { deviations: [fields.deviation as DeviationKind] }),
      ...(sensitive.length > 0 && { sensitive }),
      ...(fields.provenance !== null && { provenance: fields.provenance as Origin }),
      ...(now !== undefined && { now }),
      ...(fields.address.trim() !== '' && { address: fields.address.trim() }),
    },
  };
  return { call, problems: {} };
}

/** As the parameter's type takes it; what does not fit stays a text, and the server says so. */
function typed(text: string, type: string): string | number | boolean {
  if (type === 'integer' && /^-?\d{1,15}$/.test(text)) return Number(text);
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  return text;
}

function objectOf(text: string): Record<string, unknown> | undefined {
  if (text.trim() === '') return {};
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
