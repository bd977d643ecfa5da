import type { Manifest, ToolDefinitions } from '@gatehouse/protocol';
import type { Json } from '../platform/index.ts';
import { type Agent, registeredServer, type Snapshot, type StoredDefinition } from '../registry/index.ts';

/** What of a workspace the policies are made from and speak of. A server's snapshot is one. */
export type Authored = Pick<
  Snapshot,
  | 'agents'
  | 'approvalRules'
  | 'blueprints'
  | 'budgets'
  | 'calendars'
  | 'credentialProviders'
  | 'environments'
  | 'groups'
  | 'onCall'
  | 'people'
  | 'policies'
  | 'servers'
  | 'templates'
>;

/** As a server would have it after an apply of exactly these manifests, its tool servers serving what the definitions say. */
export function authoredFrom(manifests: readonly Manifest[], definitions: ToolDefinitions): Authored {
  const ofKind = <Kind extends Manifest['kind']>(kind: Kind) =>
    manifests.filter((manifest): manifest is Extract<Manifest, { kind: Kind }> => manifest.kind === kind);
  const byName = <Kind extends Exclude<Manifest['kind'], 'Person'>>(kind: Kind) =>
    new Map(ofKind(kind).map((manifest) => [(manifest as { name: string }).name, manifest]));
  return {
    agents: new Map(ofKind('Agent').map((manifest) => [manifest.name, agentOf(manifest)])),
    approvalRules: byName('ApprovalRule'),
    blueprints: byName('Blueprint'),
    budgets: byName('Budget'),
    calendars: byName('Calendar'),
    credentialProviders: byName('CredentialProvider'),
    environments: byName('Environment'),
    groups: byName('Group'),
    onCall: byName('OnCall'),
    people: new Map(ofKind('Person').map((person) => [person.email, person])),
    policies: byName('Policy'),
    templates: byName('Template'),
    servers: new Map(
      ofKind('ToolServer').map((manifest) => [
        manifest.name,
        registeredServer(manifest, storedDefinitions(manifest.name, definitions)),
      ]),
    ),
  };
}

function storedDefinitions(server: string, { servers }: ToolDefinitions): StoredDefinition[] {
  const tools = Object.hasOwn(servers, server) ? servers[server] : undefined;
  return Object.entries(tools ?? {}).map(([name, { digest, inputSchema, outputSchema }]) => {
    const body = { name, inputSchema, ...(outputSchema && { outputSchema }) } as Json;
    const pinned = { digest, body };
    return {
      server,
      kind: 'tool',
      name,
      state: 'approved',
      approved: pinned,
      served: pinned,
      reviewedBy: null,
      reviewedAt: null,
      seenAt: 0,
    };
  });
}

/** An agent at work, however it is declared: what its policies say is asked, and not whether it was suspended. */
export function agentOf(manifest: Extract<Manifest, { kind: 'Agent' }>): Agent {
  return { manifest, name: manifest.name, spiffeId: '', state: 'active', epoch: 1, killedAt: null };
}
