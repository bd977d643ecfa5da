import type { TrustIssuer, TrustRuleManifest } from '@gatehouse/protocol';

/** What is known of the tokens that others issue. The claim names are those that each publishes. */
interface Preset {
  /** Filled in where the rule gives none. */
  url?: string;
  /** Sets of claims of which one must be asked for in full: less would let in strangers of the same issuer. */
  identifies: string[][];
  /** `same-key` where the platform hands out one token for many requests. */
  reuse: 'once' | 'same-key';
  maxAgeSeconds: number;
}

const HOUR = 3_600;

export const presets: Record<string, Preset> = {
  'github-actions': {
    url: 'https://token.actions.githubusercontent.com',
    identifies: [['sub'], ['repository'], ['repository_id']],
    reuse: 'once',
    maxAgeSeconds: HOUR,
  },
  gitlab: { identifies: [['sub'], ['project_path'], ['project_id']], reuse: 'once', maxAgeSeconds: HOUR },
  kubernetes: {
    identifies: [
      ['sub'],
      ['/kubernetes.io/namespace', '/kubernetes.io/serviceaccount/name'],
      ['/kubernetes.io/namespace', '/kubernetes.io/serviceaccount/uid'],
    ],
    reuse: 'same-key',
    maxAgeSeconds: HOUR,
  },
  gcp: {
    url: 'https://accounts.google.com',
    identifies: [['sub'], ['email', 'email_verified']],
    reuse: 'same-key',
    maxAgeSeconds: HOUR,
  },
  azure: { identifies: [['sub'], ['oid']], reuse: 'same-key', maxAgeSeconds: 24 * HOUR },
};

/** SPIRE's agent hands out the same JWT-SVID until half of its life. A thief of one that was used has not the key that it was used with. */
const spiffe: Preset = { identifies: [['sub']], reuse: 'same-key', maxAgeSeconds: HOUR };
const plain: Preset = { identifies: [['sub']], reuse: 'once', maxAgeSeconds: HOUR };
const aws: Preset = {
  identifies: [['arn'], ['account', 'role'], ['account', 'user'], ['userId'], ['roleId']],
  reuse: 'once',
  maxAgeSeconds: HOUR,
};

export const presetOf = (issuer: TrustIssuer): Preset =>
  issuer.type === 'aws-iam' ? aws : issuer.type === 'spiffe' ? spiffe : presets[issuer.preset ?? ''] || plain;

/** The `iss` of its tokens; undefined for what has none, or where the rule and its preset leave it out. */
export const issuerUrlOf = (issuer: TrustIssuer): string | undefined =>
  issuer.type === 'oidc' ? (issuer.url ?? presetOf(issuer).url) : undefined;

export const reuseOf = ({ issuer, reuse }: TrustRuleManifest): 'once' | 'same-key' => reuse ?? presetOf(issuer).reuse;

export const maxAgeOf = ({ issuer, maxAgeSeconds }: TrustRuleManifest): number =>
  maxAgeSeconds ?? presetOf(issuer).maxAgeSeconds;
