import type { CredentialProviderManifest, CredentialSource } from '@gatehouse/protocol';
import { canonicalJson, type Json } from '../platform/index.ts';

/** Of a declaration: what says where a credential was made, and by which means it is ended. The rest are limits, secrets and certificates. */
export const PLACE: readonly string[] = [
  ...[
    'type',
    'url',
    'project',
    'namespace',
    'role',
    'region',
    'rolesAnywhere',
    'issue',
    'app',
    'installation',
    'owner',
  ],
  ...['system', 'grant', 'issuer', 'endpoints', 'tenant', 'clientId', 'client', 'authority', 'endsTokens'],
  ...['provider', 'serviceAccount', 'stsUrl', 'iamUrl'],
];

/** Whether what was made by the one is looked for, and ended, by the other. Elsewhere it would never be found, and be called gone. */
export const isSamePlace = (one: CredentialProviderManifest, other: CredentialProviderManifest): boolean =>
  isSameSource(one.from, other.from);

export const isSameSource = (one: CredentialSource, other: CredentialSource): boolean =>
  placeOf(one) === placeOf(other);

export const placeOf = (from: CredentialSource): string => canonicalJson(membersOf(from, PLACE) as Json);

/** Who signs in there goes with the secret. */
function withoutUser(url: unknown): string | null {
  if (typeof url !== 'string') return null;
  const at = new URL(url);
  at.username = '';
  at.password = '';
  return at.href;
}

/** Whom what it issues is for, and where that is: not what may be asked of it, nor how it is ended. */
const GRANTED = [
  ...PLACE.filter((member) => member !== 'issue' && member !== 'endsTokens'),
  ...['audience', 'resource', 'mount', 'in'],
];

/** Whether the one has issued with this scope what the other issues with it. */
export const grantsAlike = (one: CredentialProviderManifest, other: CredentialProviderManifest, scope: Json): boolean =>
  grantOf(one, scope) === grantOf(other, scope);

function grantOf({ from }: CredentialProviderManifest, scope: Json): string {
  // Of an engine: of which kind. Of kept secrets: which ones its parts are.
  const engine = from.type === 'openbao' ? from.issue.type : null;
  const { parts = [] } = scope as { parts?: string[] };
  const kept = from.type === 'static' ? parts.map((part) => from.parts[part] ?? null) : [];
  return canonicalJson([membersOf(from, GRANTED), engine, kept] as Json);
}

function membersOf(from: CredentialProviderManifest['from'], names: readonly string[]): unknown[] {
  const members: Record<string, unknown> = { ...from };
  return names.map((name) => (name === 'url' ? withoutUser(members.url) : (members[name] ?? null)));
}
