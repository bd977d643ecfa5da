import { type AgentView, bodies, paging, type Role, type Task } from '@gatehouse/protocol';
import { z } from 'zod';
import { killAgent } from '../../governance/index.ts';
import { GatehouseError } from '../../platform/index.ts';
import type { Agent } from '../../registry/index.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { type ApiCaller, everyone, type Route, route } from '../route.ts';

/** Any of these may own an agent; an owner with none of them is an auditor, who changes nothing. */
const stewards: readonly Role[] = ['admin', 'security', 'developer', 'owner', 'approver'];

const taskQuery = paging.extend({
  agent: z.string().optional(),
  state: z.enum(['active', 'ended', 'killed']).optional(),
});

export function agentRoutes(deps: ApiDependencies): Route[] {
  const { registry, approvals, storage } = deps;

  async function countTasks(agents: string[]): Promise<Map<string, number>> {
    if (agents.length === 0) return new Map();
    const rows = await storage.db
      .selectFrom('tasks')
      .select(({ fn }) => ['agent', fn.countAll<number>().as('count')])
      .where('agent', 'in', agents)
      .where('state', '=', 'active')
      .where('expires_at', '>', deps.clock.now())
      .groupBy('agent')
      .execute();
    return new Map(rows.map(({ agent, count }) => [agent, Number(count)]));
  }

  async function views(agents: Agent[]): Promise<AgentView[]> {
    const tasks = await countTasks(agents.map(({ name }) => name));
    return Promise.all(
      agents.map(async (agent) => ({
        name: agent.name,
        spiffeId: agent.spiffeId,
        state: agent.state,
        killedAt: agent.killedAt,
        epoch: agent.epoch,
        manifest: agent.manifest,
        activeTasks: tasks.get(agent.name) ?? 0,
        pendingApprovals: (await approvals.list({ state: 'pending', agent: agent.name, limit: 200 })).length,
      })),
    );
  }

  function find(name: string): Agent {
    const agent = registry.snapshot().agents.get(name);
    if (!agent)
      throw new GatehouseError(
        'not-found',
        'agent.unknown',
        `There is no agent "${name}". \`gatehouse agents\` lists them.`,
      );
    return agent;
  }

  async function findTask(id: string): Promise<Task> {
    const task = await registry.task(id);
    if (!task) throw new GatehouseError('not-found', 'task.unknown', `There is no task "${id}".`);
    return task;
  }

  /**
   * Who stops an agent, or gives it the keys with which one acts as it: its owner, whatever else they are, security and admins.
   * A developer's or another owner's reach ends at their own agents.
   */
  function stewardedBy({ roles, email }: ApiCaller, name: string, what: string): Agent {
    const agent = find(name);
    if (roles.includes('admin') || roles.includes('security') || agent.manifest.owner === email) return agent;
    throw new GatehouseError(
      'forbidden',
      'agent.not-owner',
      `Only the owner of ${agent.name} (${agent.manifest.owner}), security or an admin can ${what}. Ask one of them.`,
    );
  }

  const one = async (agent: Agent): Promise<AgentView> => (await views([agent]))[0] as AgentView;

  return [
    route('GET /agents', everyone, 'Agents, by name', { query: paging }, async ({ query }) => {
      const names = [...registry.snapshot().agents.keys()].sort();
      const start = query.cursor === undefined ? 0 : names.findIndex((name) => name > (query.cursor as string));
      const page = start < 0 ? [] : names.slice(start, start + query.limit);
      const more = start >= 0 && start + query.limit < names.length;
      return { items: await views(page.map(find)), cursor: more ? (page.at(-1) ?? null) : null };
    }),
    route('GET /agents/:name', everyone, 'One agent', {}, async ({ param }) => one(find(param('name')))),
    route(
      'POST /agents/:name/kill',
      stewards,
      'Stop an agent everywhere, now: its owner, security or an admin',
      { body: bodies.kill },
      async ({ caller, param, body }) =>
        killAgent(deps, stewardedBy(caller, param('name'), 'kill it').name, caller.by, body.reason),
    ),
    route(
      'POST /agents/:name/state',
      ['admin', 'security'],
      'Change the state of an agent',
      { body: bodies.setState },
      async ({ caller, param, body }) => {
        const { change } = await registry.setAgentState(find(param('name')).name, body.state, caller.by);
        await storage.feed.waitForAll(change);
        return one(find(param('name')));
      },
    ),
    route(
      'POST /agents/:name/keys',
      stewards,
      'Add a public key that the agent proves itself with: its owner, security or an admin',
      { body: bodies.addKey },
      async ({ caller, param, body }) => {
        const agent = stewardedBy(caller, param('name'), 'give it a key');
        return one(await registry.addAgentKey(agent.name, body.key, caller.by));
      },
    ),
    route(
      'DELETE /agents/:name/keys/:thumbprint',
      stewards,
      'Remove a key of an agent: its owner, security or an admin',
      {},
      async ({ caller, param }) => {
        const agent = stewardedBy(caller, param('name'), 'take a key from it');
        return one(await registry.removeAgentKey(agent.name, param('thumbprint'), caller.by));
      },
    ),
    route('GET /tasks', everyone, 'Tasks, newest first', { query: taskQuery }, async ({ query }) => {
      const items = await registry.listTasks({
        limit: query.limit,
        ...(query.agent !== undefined && { agent: query.agent }),
        ...(query.state !== undefined && { state: query.state }),
        ...(query.cursor !== undefined && { before: query.cursor }),
      });
      return { items, cursor: items.length === query.limit ? (items.at(-1)?.id ?? null) : null };
    }),
    route('GET /tasks/:id', everyone, 'One task', {}, async ({ param }) => findTask(param('id'))),
    route(
      'POST /tasks/:id/end',
      stewards,
      'End a task: the owner of its agent, security or an admin',
      {},
      async ({ caller, param }) => {
        const { id, agent } = await findTask(param('id'));
        stewardedBy(caller, agent, 'end its tasks');
        return registry.endTask(id, caller.by);
      },
    ),
  ];
}
