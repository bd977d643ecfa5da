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
