import type { CredentialProviderManifest } from '@gatehouse/protocol';
import { canonicalJson, type Json } from '../platform/index.ts';

/** Of a declaration: what says where a credential was made, and by which means it is ended. The rest are limits, secrets and certificates. */
const PLACE = [
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
  placeOf(one) === placeOf(other);

function placeOf({ from }: CredentialProviderManifest): string {
  const members: Record<string, unknown> = { ...from };
  const place = PLACE.map((member) => (member === 'url' ? withoutUser(members.url) : (members[member] ?? null)));
  return canonicalJson(place as Json);
}

/** Who signs in there goes with the secret. */
function withoutUser(url: unknown): string | null {
  if (typeof url !== 'string') return null;
  const at = new URL(url);
  at.username = '';
  at.password = '';
  return at.href;
}
