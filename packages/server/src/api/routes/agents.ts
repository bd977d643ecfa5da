import {
  type AgentView,
  type Approval,
  baselineBodies,
  bodies,
  paging,
  type Task,
  type TaskFlow,
} from '@gatehouse/protocol';
import { z } from 'zod';
import { killAgent } from '../../governance/index.ts';
import { GatehouseError } from '../../platform/index.ts';
import type { Agent } from '../../registry/index.ts';
import { aboutAgent } from '../about-agent.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { everyone, type ResourceOf, type Route, route } from '../route.ts';

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
    const names = agents.map(({ name }) => name);
    const [tasks, pending] = await Promise.all([countTasks(names), approvals.countPending(names)]);
    return agents.map((agent) => ({
      name: agent.name,
      spiffeId: agent.spiffeId,
      state: agent.state,
      killedAt: agent.killedAt,
      epoch: agent.epoch,
      manifest: agent.manifest,
      activeTasks: tasks.get(agent.name) ?? 0,
      pendingApprovals: pending.get(agent.name) ?? 0,
    }));
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

  const onAgent: ResourceOf = async (param) => aboutAgent(registry, param('name'));
  const onTask: ResourceOf = async (param) => {
    const task = await registry.task(param('id'));
    return task && aboutAgent(registry, task.agent);
  };

  const one = async (agent: Agent): Promise<AgentView> => (await views([agent]))[0] as AgentView;

  return [
    route('GET /agents', everyone, 'Agents, by name', { query: paging }, async ({ query }) => {
      const names = registry.agentNames(query.cursor, query.limit + 1);
      const page = names.slice(0, query.limit);
      const cursor = names.length > page.length ? (page.at(-1) ?? null) : null;
      return { items: await views(page.map(find)), cursor };
    }),
    route('GET /agents/:name', everyone, 'One agent', {}, async ({ param }) => one(find(param('name')))),
    route(
      'POST /agents/:name/kill',
      'kill',
      'Stop an agent everywhere, now',
      { body: bodies.kill, on: onAgent },
      async ({ caller, param, body }) => killAgent(deps, find(param('name')).name, caller.by, body.reason),
    ),
    route(
      'POST /agents/:name/state',
      'lifecycle',
      'Change the state of an agent',
      { body: bodies.setState, on: onAgent },
      async ({ caller, param, body }) => {
        const { change } = await registry.setAgentState(find(param('name')).name, body.state, caller.by);
        await storage.feed.waitForAll(change);
        return one(find(param('name')));
      },
    ),
    route(
      'POST /agents/:name/keys',
      'operate',
      'Add a public key that the agent proves itself with',
      { body: bodies.addKey, on: onAgent },
      async ({ caller, param, body }) => one(await registry.addAgentKey(find(param('name')).name, body.key, caller.by)),
    ),
    route(
      'DELETE /agents/:name/keys/:thumbprint',
      'operate',
      'Remove a key of an agent',
      { on: onAgent },
      async ({ caller, param }) =>
        one(await registry.removeAgentKey(find(param('name')).name, param('thumbprint'), caller.by)),
    ),
    route('GET /agents/:name/baseline', everyone, 'What an agent usually does', {}, async ({ param }) =>
      deps.baseline.show(find(param('name')).name),
    ),
    route(
      'POST /agents/:name/baseline/reset',
      'lifecycle',
      'Learn anew what is usual for an agent',
      { body: baselineBodies.resetBaseline, on: onAgent },
      async ({ caller, param, body }) => {
        const { name } = find(param('name'));
        await deps.baseline.reset(name, caller.by, body.reason);
        return deps.baseline.show(name);
      },
    ),
    route(
      'POST /agents/:name/baseline/accept',
      'lifecycle',
      'Say of what was unusual about one tool that it is usual',
      { body: baselineBodies.acceptBaseline, on: onAgent },
      async ({ caller, param, body }) => {
        const { name } = find(param('name'));
        await deps.baseline.accept(name, body.tool, caller.by, body.reason);
        return deps.baseline.show(name);
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
      'GET /tasks/:id/flow',
      everyone,
      'What a task has seen, what people endorsed for it, and which of its calls were held for that',
      {},
      async ({ param }) => {
        const task = await findTask(param('id'));
        const chain = [];
        for (let parent = task.parent; parent !== null; ) {
          const above = await findTask(parent);
          chain.push({ agent: above.agent, task: above });
          parent = above.parent;
        }
        const asked = await approvals.list({ task: task.id, limit: 200 });
        return { ...(await deps.flow.show({ agent: task.agent, task, chain })), held: heldByFlow(asked) };
      },
    ),
    route(
      'POST /tasks/:id/suspend',
      'operate',
      'Stop a task until a person lets it go on',
      { body: bodies.suspendTask, on: onTask },
      async ({ caller, param, body }) => {
        const { id } = await findTask(param('id'));
        return (await registry.suspendTask(id, caller.by, body.reason)).task;
      },
    ),
    route(
      'POST /tasks/:id/resume',
      'operate',
      'Let a suspended task go on',
      { on: onTask },
      async ({ caller, param }) => registry.resumeTask((await findTask(param('id'))).id, caller.by),
    ),
    route('POST /tasks/:id/end', 'operate', 'End a task', { on: onTask }, async ({ caller, param }) =>
      registry.endTask((await findTask(param('id'))).id, caller.by),
    ),
  ];
}

const HELD = 50;

/** Of what a task has asked for, what the flow rules held. */
function heldByFlow(approvals: readonly Approval[]): TaskFlow['held'] {
  return approvals
    .map(({ id, actionId, tool, state, createdAt, decision }) => ({
      approval: id,
      actionId,
      tool,
      state,
      at: createdAt,
      rules: decision.policies.filter((policy) => policy.startsWith('gatehouse/flow#')),
      reason: decision.reason,
    }))
    .filter(({ rules }) => rules.length > 0)
    .slice(0, HELD);
}
