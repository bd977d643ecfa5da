import type { Manifest, Role } from '@gatehouse/protocol';
import { canonicalJson, digestJson } from '../platform/index.ts';
import type { Tables } from '../storage/index.ts';

/** Everything declared but agents, which have a table of their own. */
export type ObjectManifest = Exclude<Manifest, { kind: 'Agent' }>;
/** The order in which an export lists them: each after what it refers to. */
export const kindOrder: Manifest['kind'][] = [
  'Environment',
  'Person',
  'TrustDomain',
  'RoleMapping',
  'AgentMapping',
  'IdentityProvider',
  'ControlPolicy',
  'Calendar',
  'OnCall',
  'ApprovalRule',
  'TicketSystem',
  'Detector',
  'Sink',
  'Retention',
  'Channel',
  'CredentialProvider',
  'ToolServer',
  'Template',
  'Group',
  'ResourceServer',
  'Policy',
  'Budget',
  'Blueprint',
  'Client',
  'Agent',
  'Workload',
  'TrustRule',
];

export interface StoredObject<M extends ObjectManifest = ObjectManifest> {
  manifest: M;
  /** Who applied it last: on their word definitions are approved at first sight. */
  appliedBy: string;
  /** Of a person only, where there is more to say than that the manifest declares them. */
  person?: PersonStanding;
}

/** How a person came to be known, and whether they are still here. */
export interface PersonStanding {
  /** False: only a directory or an identity provider names them. Then they are in no export, and nothing prunes them. */
  declared: boolean;
  provision: Provision | null;
  /** Somebody who has left is nobody: not signed in, no approver, no owner, until they are reinstated. */
  departed: { at: number; by: string; successor: string | null; keepKeys?: boolean } | null;
}

export interface Provision {
  /** `scim`, or `oidc/NAME` for somebody made at sign-in. */
  by: string;
  /** Of the SCIM resource, or the subject at the provider. */
  id: string;
  displayName: string;
  /** Display names of the directory's groups. */
  groups: string[];
  /** Given by the provider's group mapping at sign-in; SCIM groups have theirs from `RoleMapping`. */
  roles: Role[];
  /** The manager, where the directory names one. */
  successor: string | null;
}

export function nameOf(manifest: Manifest): string {
  return manifest.kind === 'Person' ? manifest.email : manifest.name;
}

/** `Kind/name`: the key of an object on the feed and in maps. */
export function keyOf(manifest: Manifest): string {
  return `${manifest.kind}/${nameOf(manifest)}`;
}

export function splitKey(key: string): { kind: string; name: string } {
  const at = key.indexOf('/');
  return { kind: key.slice(0, at), name: key.slice(at + 1) };
}

export function toObjectBody(stored: StoredObject): string {
  return canonicalJson(stored);
}

/** Of an object as it was applied once: the same manifest, deleted and applied again, is another. */
export const appliedDigest = ({ body, updated_at }: Pick<Tables['objects'], 'body' | 'updated_at'>): string =>
  digestJson([body, updated_at]);

export function fromObjectRow(row: Pick<Tables['objects'], 'body'>): StoredObject {
  return JSON.parse(row.body) as StoredObject;
}
