import type {
  AgentManifest,
  AgentMappingManifest,
  ApprovalRuleManifest,
  BlueprintManifest,
  BudgetManifest,
  CalendarManifest,
  ChannelManifest,
  ClientManifest,
  ControlPolicyManifest,
  CredentialProviderManifest,
  DetectorManifest,
  EnvironmentManifest,
  GroupManifest,
  IdentityProviderManifest,
  OnCallManifest,
  PersonManifest,
  PolicyManifest,
  ResourceServerManifest,
  RetentionManifest,
  RoleMappingManifest,
  SinkManifest,
  TemplateManifest,
  TicketSystemManifest,
  ToolServerManifest,
  TrustDomainManifest,
  TrustRuleManifest,
  WorkloadManifest,
} from '@gatehouse/protocol';
import { isJsonObject, type JsonObject } from '../platform/index.ts';
import type { Database, Tables } from '../storage/index.ts';
import { inChunks } from './chunks.ts';
import { type DefinitionRow, fromDefinitionRow, type StoredDefinition } from './definition-rows.ts';
import { lookAlikesOf, reasonsHeld } from './judge.ts';
import { effectiveGroups, knownPerson, presentPeople, type StoredPerson } from './known-people.ts';
import { labelsOf } from './labels.ts';
import { fromObjectRow, keyOf, type ObjectManifest, type StoredObject, splitKey } from './objects.ts';
import { ShardedMap } from './sharded-map.ts';
import type { Touched } from './touched.ts';
import type { Agent, KnownPerson, RegisteredServer, RegisteredTool, Snapshot } from './types.ts';
import { readWorkloads, type Workload } from './workloads.ts';

/** The snapshot as this room builds it: large maps are copied in part. */
export interface BuiltSnapshot extends Snapshot {
  readonly agents: ShardedMap<Agent>;
  readonly fences: ShardedMap<number>;
  readonly revokedTokens: ShardedMap<number>;
  /** As they are now, whatever their manifests say: suspended, killed, at which epoch. */
  readonly workloadLives: ReadonlyMap<string, Workload>;
  /** What `directory` is made from. */
  readonly storedPeople: ReadonlyMap<string, StoredPerson>;
  /** As declared: without the members that the directory adds. */
  readonly declaredGroups: ReadonlyMap<string, GroupManifest>;
}

/**
 * Reads a whole workspace. Here and in `nextSnapshot` fences are read before the objects that they guard: what changes in between
 * leaves an old version beside a new object, and a dispatch on it is refused; the other way round it would pass.
 */
export async function loadSnapshot(db: Database, trustDomain: string, now: number): Promise<BuiltSnapshot> {
  const fences = await db
    .selectFrom('fences')
    .select(['key', 'version'])
    .where('key', 'not like', 'task:%')
    .where('key', 'not like', 'token:%')
    .execute();
  const stored = (await db.selectFrom('objects').select('body').execute()).map(fromObjectRow);
  const objects = stored.map(({ manifest }) => manifest);
  const definitions = Map.groupBy(
    (await db.selectFrom('definitions').selectAll().execute()).map(fromDefinitionRow),
    ({ server }) => server,
  );
  const agents = await db.selectFrom('agents').selectAll().execute();
  const tokens = await db.selectFrom('revoked_tokens').selectAll().where('expires_at', '>', now).execute();
  return {
    ...objectMaps(new Map(stored.map((object) => [keyOf(object.manifest), object]))),
    servers: new Map(
      objects
        .filter((manifest) => manifest.kind === 'ToolServer')
        .map((manifest) => [manifest.name, registeredServer(manifest, definitions.get(manifest.name) ?? [])]),
    ),
    agents: ShardedMap.from(agents.map((row) => [row.name, agentFromRow(row, trustDomain)])),
    fences: ShardedMap.from(fences.map(({ key, version }) => [key, version])),
    revokedTokens: ShardedMap.from(tokens.map(({ token_id, expires_at }) => [token_id, expires_at])),
    workloadLives: new Map((await readWorkloads(db, trustDomain)).map((each) => [each.name, each])),
  };
}

/** The snapshot after a change: only what was touched is read, and only the maps that hold it are copied. */
export async function nextSnapshot(
  db: Database,
  current: BuiltSnapshot,
  touched: Touched,
  /** `policyFence` was read before it was known what is touched. */
  { policyFence, trustDomain, now }: { policyFence: number; trustDomain: string; now: number },
): Promise<BuiltSnapshot> {
  const keys = [...touched.objects].map(splitKey);
  const serverNames = new Set(touched.definitions);
  for (const { kind, name } of keys) if (kind === 'ToolServer') serverNames.add(name);

  const fences = await readFences(db, current, touched, serverNames);
  const objectKeys = new Set([...touched.objects, ...[...serverNames].map((name) => `ToolServer/${name}`)]);
  const stored = await readStoredObjects(db, objectKeys);
  const objects = new Map([...stored].map(([key, { manifest }]) => [key, manifest]));
  const definitions = Map.groupBy(await readDefinitions(db, serverNames), ({ server }) => server);
  const agents = await inChunks(touched.agents, (names) =>
    db.selectFrom('agents').selectAll().where('name', 'in', names).execute(),
  );
  const tokens = await inChunks(touched.tokens, (ids) =>
    db.selectFrom('revoked_tokens').selectAll().where('token_id', 'in', ids).execute(),
  );

  return {
    ...replacedObjects(current, touched.objects, stored),
    servers:
      serverNames.size === 0 ? current.servers : replacedServers(current.servers, serverNames, objects, definitions),
    agents: current.agents.with(agents.map((row) => [row.name, agentFromRow(row, trustDomain)] as const)),
    fences: current.fences.with([
      ['policy', policyFence],
      ...fences.map(({ key, version }) => [key, version] as const),
    ]),
    revokedTokens: current.revokedTokens.with(
      tokens.map(({ token_id, expires_at }) => [token_id, expires_at] as const),
      tokens.length > 0 ? expiredTokens(current, now) : [],
    ),
    workloadLives: await replacedLives(db, current, keys, trustDomain),
  };
}

async function replacedLives(
  db: Database,
  { workloadLives }: BuiltSnapshot,
  keys: { kind: string; name: string }[],
  trustDomain: string,
): Promise<ReadonlyMap<string, Workload>> {
  const names = keys.filter(({ kind }) => kind === 'Workload').map(({ name }) => name);
  if (names.length === 0) return workloadLives;
  const next = new Map(workloadLives);
  for (const name of names) next.delete(name);
  const read = await inChunks(names, (some) => readWorkloads(db, trustDomain, some));
  for (const each of read) next.set(each.name, each);
  return next;
}

/** What has expired is refused for that reason, and need not be remembered. */
function expiredTokens({ revokedTokens }: Snapshot, now: number): string[] {
  return [...revokedTokens].filter(([, expiresAt]) => expiresAt <= now).map(([id]) => id);
}

/** Objects with a fence of their own. */
const fenceOf = { Person: 'person', Workload: 'workload', TrustRule: 'trust-rule' } as const;

/** Tools that are in storage but not yet in memory have no fence here, which is 0, and so fail closed. */
async function readFences(
  db: Database,
  current: Snapshot,
  touched: Touched,
  serverNames: Set<string>,
): Promise<Tables['fences'][]> {
  const keys = new Set<string>();
  for (const name of touched.agents) keys.add(`agent:${name}`);
  for (const { kind, name } of [...touched.objects].map(splitKey)) {
    const fence = fenceOf[kind as keyof typeof fenceOf];
    if (fence) keys.add(`${fence}:${name}`);
  }
  for (const name of serverNames) {
    keys.add(`server:${name}`);
    for (const tool of current.servers.get(name)?.tools.keys() ?? []) keys.add(`tool:${name}/${tool}`);
  }
  const stored = await readObjects(db, new Set([...serverNames].map((name) => `ToolServer/${name}`)));
  for (const manifest of stored.values()) {
    if (manifest.kind !== 'ToolServer') continue;
    for (const tool of Object.keys(manifest.tools)) keys.add(`tool:${manifest.name}/${tool}`);
  }
  const served = await inChunks(serverNames, (names) =>
    db
      .selectFrom('definitions')
      .select(['server', 'name'])
      .where('server', 'in', names)
      .where('kind', '=', 'tool')
      .execute(),
  );
  for (const { server, name } of served) keys.add(`tool:${server}/${name}`);
  return inChunks(keys, (some) => db.selectFrom('fences').selectAll().where('key', 'in', some).execute());
}

export async function readObjects(db: Database, keys: Iterable<string>): Promise<Map<string, ObjectManifest>> {
  return new Map([...(await readStoredObjects(db, keys))].map(([key, { manifest }]) => [key, manifest]));
}

async function readStoredObjects(db: Database, keys: Iterable<string>): Promise<Map<string, StoredObject>> {
  const byKind = Map.groupBy([...keys].map(splitKey), ({ kind }) => kind);
  const found = new Map<string, StoredObject>();
  for (const [kind, some] of byKind) {
    const rows = await inChunks(
      some.map(({ name }) => name),
      (names) => db.selectFrom('objects').select('body').where('kind', '=', kind).where('name', 'in', names).execute(),
    );
    for (const row of rows) {
      const object = fromObjectRow(row);
      found.set(keyOf(object.manifest), object);
    }
  }
  return found;
}

async function readDefinitions(db: Database, servers: Iterable<string>): Promise<StoredDefinition[]> {
  const rows: DefinitionRow[] = await inChunks(servers, (names) =>
    db.selectFrom('definitions').selectAll().where('server', 'in', names).execute(),
  );
  return rows.map(fromDefinitionRow);
}

type ObjectMaps = Pick<
  BuiltSnapshot,
  (typeof mapOf)[keyof typeof mapOf] | 'people' | 'groups' | 'directory' | 'storedPeople'
>;

const mapOf = {
  Blueprint: 'blueprints',
  Budget: 'budgets',
  Client: 'clients',
  Environment: 'environments',
  Group: 'declaredGroups',
  RoleMapping: 'roleMappings',
  AgentMapping: 'agentMappings',
  IdentityProvider: 'identityProviders',
  ResourceServer: 'resourceServers',
  ControlPolicy: 'controlPolicies',
  Template: 'templates',
  Policy: 'policies',
  Calendar: 'calendars',
  OnCall: 'onCall',
  ApprovalRule: 'approvalRules',
  TicketSystem: 'ticketSystems',
  Detector: 'detectors',
  Sink: 'sinks',
  Retention: 'retention',
  Channel: 'channels',
  CredentialProvider: 'credentialProviders',
  TrustDomain: 'trustDomains',
  TrustRule: 'trustRules',
  Workload: 'workloads',
} as const;

function objectMaps(objects: ReadonlyMap<string, StoredObject>): ObjectMaps {
  const empty: ObjectMaps = {
    blueprints: new Map<string, BlueprintManifest>(),
    budgets: new Map<string, BudgetManifest>(),
    clients: new Map<string, ClientManifest>(),
    environments: new Map<string, EnvironmentManifest>(),
    people: new Map<string, PersonManifest>(),
    groups: new Map<string, GroupManifest>(),
    declaredGroups: new Map<string, GroupManifest>(),
    templates: new Map<string, TemplateManifest>(),
    policies: new Map<string, PolicyManifest>(),
    calendars: new Map<string, CalendarManifest>(),
    onCall: new Map<string, OnCallManifest>(),
    approvalRules: new Map<string, ApprovalRuleManifest>(),
    ticketSystems: new Map<string, TicketSystemManifest>(),
    detectors: new Map<string, DetectorManifest>(),
    sinks: new Map<string, SinkManifest>(),
    retention: new Map<string, RetentionManifest>(),
    channels: new Map<string, ChannelManifest>(),
    credentialProviders: new Map<string, CredentialProviderManifest>(),
    trustDomains: new Map<string, TrustDomainManifest>(),
    directory: new Map<string, KnownPerson>(),
    storedPeople: new Map<string, StoredPerson>(),
    roleMappings: new Map<string, RoleMappingManifest>(),
    agentMappings: new Map<string, AgentMappingManifest>(),
    identityProviders: new Map<string, IdentityProviderManifest>(),
    resourceServers: new Map<string, ResourceServerManifest>(),
    controlPolicies: new Map<string, ControlPolicyManifest>(),
    trustRules: new Map<string, TrustRuleManifest>(),
    workloads: new Map<string, WorkloadManifest>(),
  };
  return replacedObjects(empty, objects.keys(), objects);
}

function replacedObjects(
  current: ObjectMaps,
  keys: Iterable<string>,
  objects: ReadonlyMap<string, StoredObject>,
): ObjectMaps {
  let storedPeople: Map<string, StoredPerson> | undefined;
  let peopleDiffer = false;
  const maps: Record<string, Map<string, ObjectManifest>> = {};
  for (const key of keys) {
    const { kind, name } = splitKey(key);
    const stored = objects.get(key);
    if (kind === 'Person') {
      storedPeople ??= new Map(current.storedPeople);
      if (stored?.manifest.kind === 'Person') storedPeople.set(name, { ...stored, manifest: stored.manifest });
      else storedPeople.delete(name);
    }
    peopleDiffer ||= kind === 'Person' || kind === 'RoleMapping';
    const member = mapOf[kind as keyof typeof mapOf];
    if (!member) continue;
    maps[member] ??= new Map<string, ObjectManifest>(current[member]);
    if (stored) maps[member].set(name, stored.manifest);
    else maps[member].delete(name);
  }
  const next: ObjectMaps = {
    ...kept(current),
    storedPeople: storedPeople ?? current.storedPeople,
    ...(maps as Partial<ObjectMaps>),
  };
  const withPeople = peopleDiffer ? { ...next, ...peopleMaps(next) } : next;
  const usesDirectory = [...withPeople.declaredGroups.values()].some((group) => group.directoryGroup !== undefined);
  if (next.declaredGroups === current.declaredGroups && !(peopleDiffer && usesDirectory)) return withPeople;
  return { ...withPeople, groups: effectiveGroups(withPeople.declaredGroups, withPeople.directory) };
}

/** All of these maps and nothing else of a snapshot. */
function kept(current: ObjectMaps): ObjectMaps {
  const members = [...Object.values(mapOf), 'people', 'groups', 'directory', 'storedPeople'] as const;
  return Object.fromEntries(members.map((member) => [member, current[member]])) as unknown as ObjectMaps;
}

function peopleMaps({ storedPeople, roleMappings }: ObjectMaps): Pick<ObjectMaps, 'people' | 'directory'> {
  const mappings = [...roleMappings.values()];
  const directory = new Map([...storedPeople].map(([email, stored]) => [email, knownPerson(stored, mappings)]));
  return { directory, people: presentPeople(directory) };
}

function replacedServers(
  current: ReadonlyMap<string, RegisteredServer>,
  names: Iterable<string>,
  objects: ReadonlyMap<string, ObjectManifest>,
  definitions: ReadonlyMap<string, StoredDefinition[]>,
): ReadonlyMap<string, RegisteredServer> {
  const servers = new Map(current);
  for (const name of names) {
    const manifest = objects.get(`ToolServer/${name}`);
    if (manifest?.kind === 'ToolServer') servers.set(name, registeredServer(manifest, definitions.get(name) ?? []));
    else servers.delete(name);
  }
  return servers;
}

/** A tool that the manifest names and nobody has seen yet is there as `missing`: policies can speak of it, nobody can call it. */
export function registeredServer(manifest: ToolServerManifest, stored: StoredDefinition[]): RegisteredServer {
  const lookAlikes = lookAlikesOf(stored);
  const tools = new Map<string, RegisteredTool>();
  for (const name of Object.keys(manifest.tools)) tools.set(name, registeredTool(manifest, name, undefined));
  const definitions = [];
  for (const definition of stored) {
    if (definition.kind === 'tool') tools.set(definition.name, registeredTool(manifest, definition.name, definition));
    else {
      const reason = reasonsHeld({ manifest, definition, lookAlikes: lookAlikes(definition), firstSight: false });
      definitions.push({ ...definition, reason });
    }
  }
  return { name: manifest.name, manifest, tools, definitions };
}

function registeredTool(
  manifest: ToolServerManifest,
  name: string,
  definition: StoredDefinition | undefined,
): RegisteredTool {
  const setting = Object.hasOwn(manifest.tools, name) ? manifest.tools[name] : undefined;
  const body = definition?.approved?.body;
  return {
    ref: `${manifest.name}/${name}`,
    server: manifest.name,
    name,
    tier: setting?.tier ?? 4,
    effects: setting?.effects ?? [],
    resourceArgument: setting?.resourceArgument ?? null,
    state: definition?.state ?? 'missing',
    digest: definition?.approved?.digest ?? null,
    labels: labelsOf(setting),
    ...(isJsonObject(body) ? withoutFilled(body, manifest.transport.credential?.arguments) : { definition: null }),
  };
}

/** What Gatehouse fills with a credential is nothing that an agent gives, sees or leaves out. */
function withoutFilled(
  definition: JsonObject,
  filledNames: Record<string, string> = {},
): Pick<RegisteredTool, 'definition' | 'filled'> {
  const { inputSchema } = definition;
  const properties = isJsonObject(inputSchema) ? inputSchema.properties : undefined;
  if (!isJsonObject(inputSchema) || !isJsonObject(properties)) return { definition };
  const isFilled = (name: string) => Object.hasOwn(filledNames, name);
  const [filled, seen] = [true, false].map((wanted) =>
    Object.fromEntries(Object.entries(properties).filter(([name]) => isFilled(name) === wanted)),
  ) as [JsonObject, JsonObject];
  if (Object.keys(filled).length === 0) return { definition };
  const { required } = inputSchema;
  const schema = {
    ...inputSchema,
    properties: seen,
    ...(Array.isArray(required) && { required: required.filter((name) => !isFilled(String(name))) }),
  };
  return { definition: { ...definition, inputSchema: schema }, filled };
}

export function agentFromRow(row: Tables['agents'], trustDomain: string): Agent {
  const state = row.state as Agent['state'];
  const manifest: AgentManifest = { ...(JSON.parse(row.body) as AgentManifest), state };
  return {
    manifest,
    name: row.name,
    spiffeId: spiffeId(trustDomain, row.environment, row.name),
    state,
    epoch: row.epoch,
    killedAt: row.killed_at,
  };
}

export function spiffeId(trustDomain: string, environment: string, name: string): string {
  return `spiffe://${trustDomain}/env/${environment}/agent/${name}`;
}
