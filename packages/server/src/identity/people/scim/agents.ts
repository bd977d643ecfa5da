import { randomUUID } from 'node:crypto';
import type { AgentManifest, AgentMappingManifest } from '@gatehouse/protocol';
import { type Clock, canonicalJson, type Json } from '../../../platform/index.ts';
import type { Registry } from '../../../registry/index.ts';
import type { Database, DatabaseTransaction, RecordChange, Storage, Tables } from '../../../storage/index.ts';
import { revokeJoinTokensOf } from '../../federation/index.ts';
import { AGENT_SCHEMA } from './agent-schema.ts';
import { requireVersion } from './directory.ts';
import { listed, type Page } from './list.ts';
import { patched, type Resource, readAgent, scimError } from './resources.ts';

export interface AgentDirectoryDependencies {
  storage: Storage;
  registry: Pick<Registry, 'snapshot' | 'apply' | 'refresh' | 'handOverAgent' | 'setAgentState'>;
  recordChange: RecordChange;
  clock: Clock;
  publicUrl: string;
}

export type AgentDirectory = ReturnType<typeof createAgentDirectory>;

/**
 * Agents that a directory names (draft-wzdk-scim-agent-resource-00). It says that there is one and whose it is; a manifest
 * (`AgentMapping`) says what that is worth, and without one nothing is made. A directory gives no key: an agent that it made proves
 * itself as any other does. It changes and ends only what it made, and brings nothing back that was suspended or killed here.
 */
export function createAgentDirectory(deps: AgentDirectoryDependencies) {
  const { storage, registry, clock, publicUrl } = deps;

  async function views(db: Database | DatabaseTransaction, rows: Tables['scim_agents'][]): Promise<Resource[]> {
    if (rows.length === 0) return [];
    const all = await db
      .selectFrom('agents')
      .leftJoin('scim_users', 'scim_users.email', 'agents.owner')
      .select(['agents.name', 'agents.state', 'agents.owner', 'scim_users.id as user'])
      .where(
        'agents.name',
        'in',
        rows.map(({ name }) => name),
      )
      .execute();
    const byName = new Map(all.map((agent) => [agent.name, agent]));
    return rows.map((row) => {
      const agent = byName.get(row.name);
      const owner = agent?.user ?? undefined;
      return {
        ...(JSON.parse(row.body) as Resource),
        id: row.id,
        // As it is, not as the directory last said: an agent may have been stopped or handed over here.
        active: agent?.state === 'active',
        owners: owner === undefined ? [] : [{ value: owner, display: agent?.owner, primary: true }],
        meta: {
          resourceType: 'Agent',
          created: new Date(row.created_at).toISOString(),
          lastModified: new Date(row.updated_at).toISOString(),
          location: `${publicUrl}/scim/v2/Agents/${row.id}`,
          version: `W/"${row.version}"`,
        },
      };
    });
  }

  const find = async (db: Database | DatabaseTransaction, id: string): Promise<Tables['scim_agents']> => {
    const row = await db.selectFrom('scim_agents').selectAll().where('id', '=', id).executeTakeFirst();
    if (row) return row;
    throw scimError(404, '', 'There is no such agent.');
  };
  const view = async (db: Database | DatabaseTransaction, row: Tables['scim_agents']) =>
    (await views(db, [row]))[0] as Resource;

  /** The one who answers for it: the primary owner, else the first. Somebody whom a directory names and who is here. */
  async function ownerOf(db: Database | DatabaseTransaction, agent: Resource): Promise<string> {
    const owners = (agent.owners ?? []) as { value?: string; primary?: boolean }[];
    const id = (owners.findLast(({ primary }) => primary) ?? owners[0])?.value ?? '';
    const user = await db.selectFrom('scim_users').select('email').where('id', '=', id).executeTakeFirst();
    if (user && registry.snapshot().people.has(user.email)) return user.email;
    throw scimError(400, 'invalidValue', 'An agent is owned by a user of the directory who is here (owners[].value).');
  }

  /** Read where the agent is made: a mapping that was just withdrawn gives nothing. */
  async function mappingFor(db: Database, agentType: string): Promise<AgentMappingManifest> {
    const rows = await db.selectFrom('objects').select('body').where('kind', '=', 'AgentMapping').execute();
    const mapping = rows
      .map(({ body }) => (JSON.parse(body) as { manifest: AgentMappingManifest }).manifest)
      .find((each) => each.agentType === agentType);
    if (mapping) return mapping;
    throw scimError(
      403,
      '',
      `No AgentMapping is for the agentType "${agentType.slice(0, 100)}". An admin applies one, or nothing is made.`,
    );
  }

  async function settle(): Promise<void> {
    await registry.refresh([]);
    await storage.feed.waitForAll(await storage.feed.head());
  }

  async function change(
    id: string,
    by: string,
    version: string | undefined,
    work: (now: Resource) => Promise<Resource>,
  ): Promise<Resource> {
    await storage.transaction(async (transaction) => {
      const before = await find(transaction, id);
      requireVersion(before.version, version);
      const was = await view(transaction, before);
      const is = await work(was);
      for (const fixed of ['name', 'agentType'] as const)
        if (is[fixed] !== was[fixed])
          throw scimError(400, 'mutability', `${fixed} does not change. Delete the agent and make another.`);
      const agent = await transaction
        .selectFrom('agents')
        .select(['owner', 'state', 'killed_at'])
        .where('name', '=', before.name)
        .executeTakeFirstOrThrow();
      let { suspended } = before;
      if (is.active === false && (agent.state === 'active' || agent.state === 'draft')) {
        await registry.setAgentState(before.name, 'suspended', by, { within: transaction });
        suspended = 1;
      }
      const owners = (is.owners ?? []) as unknown[];
      if (owners.length > 0 || agent.state === 'active') {
        const owner = await ownerOf(transaction, is);
        if (owner !== agent.owner) {
          // Nobody has left, so its keys stay; what was made for the owner before to hold does not.
          await registry.handOverAgent(transaction, before.name, { owner, keepKeys: true, by });
          await revokeJoinTokensOf(deps, transaction, { agent: before.name }, by);
        }
      }
      if (is.active === true && agent.state !== 'active') {
        if (suspended === 0 || agent.state !== 'suspended' || agent.killed_at !== null)
          throw scimError(409, '', 'This agent was stopped in Gatehouse, and is brought back there or not at all.');
        await ownerOf(transaction, is);
        await registry.setAgentState(before.name, 'active', by, { within: transaction });
        suspended = 0;
      }
      await transaction
        .updateTable('scim_agents')
        .set({
          body: bodyOf(is),
          external_id: externalIdOf(is),
          suspended,
          version: before.version + 1,
          updated_at: clock.now(),
        })
        .where('id', '=', id)
        .execute();
    });
    await settle();
    return view(storage.db, await find(storage.db, id));
  }

  return {
    async create(body: unknown, by: string): Promise<Resource> {
      const agent = readAgent(body);
      const name = String(agent.name);
      const now = clock.now();
      const row = {
        id: randomUUID(),
        name,
        external_id: externalIdOf(agent),
        suspended: agent.active === false ? 1 : 0,
        body: bodyOf(agent),
        version: 1,
        created_at: now,
        updated_at: now,
      };
      const { environment, blueprint, risk } = await mappingFor(storage.db, String(agent.agentType));
      const manifest: AgentManifest = {
        kind: 'Agent',
        name,
        owner: await ownerOf(storage.db, agent),
        purpose: textOf(agent.displayName, 500) ?? name,
        ...(textOf(agent.description, 2_000) !== undefined && { description: textOf(agent.description, 2_000) }),
        environment,
        blueprint,
        risk,
        state: agent.active === false ? 'suspended' : 'active',
        keys: [],
        bearerOnly: false,
      };
      await registry.apply([manifest], {
        prune: false,
        by,
        // Whose agent this is to be was decided before; that it is nobody's yet, and still mapped, is decided here.
        async first(transaction) {
          const mapping = await mappingFor(transaction, String(agent.agentType));
          if (mapping.environment !== environment || mapping.blueprint !== blueprint)
            throw scimError(409, '', 'The AgentMapping has changed meanwhile. Send it again.');
          const taken = await transaction
            .selectFrom('agents')
            .select('name')
            .where('name', '=', name)
            .executeTakeFirst();
          if (taken) throw scimError(409, 'uniqueness', 'There is an agent of this name, or there was one.');
          await transaction.insertInto('scim_agents').values(row).execute();
        },
      });
      await settle();
      return view(storage.db, row);
    },
    get: async (id: string) => view(storage.db, await find(storage.db, id)),
    replace: (id: string, body: unknown, by: string, version?: string) =>
      change(id, by, version, async () => readAgent(body)),
    patch: (id: string, body: unknown, by: string, version?: string) =>
      change(id, by, version, (now) => patched('Agent', now, body)),
    /** Retired, for good: its history stays, and its name is not given again. */
    async remove(id: string, by: string, wanted?: string): Promise<void> {
      await storage.transaction(async (transaction) => {
        const { name, version } = await find(transaction, id);
        requireVersion(version, wanted);
        await transaction.deleteFrom('scim_agents').where('id', '=', id).execute();
        await registry.setAgentState(name, 'retired', by, { within: transaction });
      });
      await settle();
    },
    list: (page: Page) =>
      listed(
        storage.db,
        {
          table: 'scim_agents',
          columns: { id: { column: 'id' }, name: { column: 'name' }, externalId: { column: 'external_id' } },
          views: (rows) => views(storage.db, rows),
        },
        page,
      ),
  };
}

const externalIdOf = ({ externalId }: Resource) => (typeof externalId === 'string' ? externalId : null);

const textOf = (value: unknown, chars: number) =>
  typeof value === 'string' && value.trim() !== '' ? value.trim().slice(0, chars) : undefined;

/** What the directory alone knows. */
function bodyOf({ name, displayName, description, agentType, externalId }: Resource): string {
  const body = { schemas: [AGENT_SCHEMA], name, displayName, description, agentType, externalId };
  return canonicalJson(JSON.parse(JSON.stringify(body)) as Json);
}
