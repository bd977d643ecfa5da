import type { JsonObject } from '../../platform/index.ts';
import type { Era } from './types.ts';

/** Keys, versions and names of the two eras that more than one file needs. */
export const modernVersion = '2026-07-28';

/** Newest first. 2024-11-05 is spoken by many stdio servers and differs in nothing that passes through here. */
export const legacyVersions = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'];

export const metaKeys = {
  protocolVersion: 'io.modelcontextprotocol/protocolVersion',
  clientCapabilities: 'io.modelcontextprotocol/clientCapabilities',
  clientInfo: 'io.modelcontextprotocol/clientInfo',
  serverInfo: 'io.modelcontextprotocol/serverInfo',
  subscriptionId: 'io.modelcontextprotocol/subscriptionId',
} as const;

/** What was agreed with a server. */
export interface Negotiated {
  era: Era;
  protocolVersion: string;
  serverInfo: JsonObject;
  capabilities: JsonObject;
  instructions: string | undefined;
}

export const gatehouseInfo: JsonObject = { name: 'gatehouse', title: 'Gatehouse', version: '0.1.0' };

/** Versions as a server named them, for a message of ours: what does not look like a version is left out. */
export function versionText(versions: unknown[]): string {
  const plain = versions.filter((version) => /^[0-9A-Za-z.-]{1,20}$/.test(String(version))).slice(0, 10);
  return plain.length === 0 ? 'an unknown version' : plain.join(', ');
}
