import { isJsonObject, type Json } from '../../platform/index.ts';
import { credentials, isSecretMember } from './credentials.ts';

const MASK = '[masked]';

/** What an agent gave, for people in places that are not ours: credentials are named instead of shown. Shape and all else stay. */
export function maskCredentials(value: Json, name = ''): Json {
  if (typeof value === 'string') return isSecretMember(name, value) ? MASK : maskText(value);
  if (Array.isArray(value)) return value.map((each) => maskCredentials(each, name));
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([member, each]) => [maskText(member), maskCredentials(each, member)]),
  );
}

function maskText(text: string): string {
  let masked = '';
  let at = 0;
  for (const { kind, from, to } of credentials.detect(text).sort((a, b) => a.from - b.from)) {
    if (from < at) continue;
    masked += `${text.slice(at, from)}[${kind}]`;
    at = to;
  }
  return masked + text.slice(at);
}
