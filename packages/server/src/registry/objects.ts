import type { Manifest } from '@gatehouse/protocol';
import { canonicalJson } from '../platform/index.ts';
import type { Tables } from '../storage/index.ts';

/** Everything declared but agents, which have a table of their own. */
export type ObjectManifest = Exclude<Manifest, { kind: 'Agent' }>;
export type ObjectKind = ObjectManifest['kind'];

/** The order in which an export lists them: each after what it refers to. */
export const kindOrder: Manifest['kind'][] = [
  'Environment',
  'Person',
  'TrustDomain',
  'ToolServer',
  'Template',
  'Group',
  'Policy',
  'Blueprint',
  'Client',
  'Agent',
];

export interface StoredObject<M extends ObjectManifest = ObjectManifest> {
  manifest: M;
  /** Who applied it last: on their word definitions are approved at first sight. */
  appliedBy: string;
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

export function fromObjectRow(row: Pick<Tables['objects'], 'body'>): StoredObject {
  return JSON.parse(row.body) as StoredObject;
}
