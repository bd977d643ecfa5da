import { bulkBodies, TASK_DETAILS_TYPE } from '@gatehouse/protocol';
import { SecondPersonNeeded } from '../../governance/index.ts';
import { GatehouseError } from '../../platform/index.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { type Route, route } from '../route.ts';
import { asConfirmed, planAtTerminal } from './apply-at-terminal.ts';

export function bulkRoutes({ registry, storage, policyChanges }: ApiDependencies): Route[] {
  return [
    route(
      'POST /agents',
      'provision',
      'Enrol agents, or change them, many at once',
      {
        body: bulkBodies.enrolAgents,
        plan: ({ body }) => planAtTerminal((how) => registry.plan(body.agents, { prune: false, ...how })),
      },
      async ({ caller, body, confirmed }) => {
        const changes = await unlessProposed(() =>
          registry.apply(body.agents, {
            prune: false,
            by: caller.by,
            consider: policyChanges.consider,
            ...(caller.restricted && asConfirmed(confirmed)),
          }),
        );
        const { agents } = registry.snapshot();
        return {
          agents: changes.map(({ name, operation, note }) => ({
            name,
            spiffeId: agents.get(name)?.spiffeId ?? '',
            operation,
            ...(note !== undefined && { note }),
          })),
        };
      },
    ),
    route(
      'POST /agents/state',
      'provision',
      'Suspend, retire or activate agents, many at once',
      { body: bulkBodies.setAgentStates },
      async ({ caller, body }) => {
        const changed = await registry.bulk.setAgentStates(body.names, body.state, caller.by);
        await storage.feed.waitForAll(await storage.feed.head());
        return { changed };
      },
    ),
    route(
      'POST /tasks',
      'provision',
      'Start tasks of agents, many at once',
      { body: bulkBodies.startTasks },
      async ({ caller, body }) => {
        const requests = body.tasks.map(({ agent, ...details }) => ({
          agent,
          details: { type: TASK_DETAILS_TYPE, ...details } as const,
        }));
        return { tasks: await registry.bulk.startTasks(requests, caller.by, body.idempotencyKey) };
      },
    ),
    route(
      'POST /tasks/end',
      'provision',
      'End tasks, many at once',
      { body: bulkBodies.endTasks },
      async ({ caller, body }) => {
        const ended = await registry.bulk.endTasks(body.ids, caller.by);
        await storage.feed.waitForAll(await storage.feed.head());
        return { ended };
      },
    ),
  ];
}

/** What has to wait for somebody waits in one place: here it is refused. */
async function unlessProposed<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof SecondPersonNeeded)) throw error;
    const [{ name, why } = { name: '', why: '' }] = error.relaxes;
    throw new GatehouseError(
      'conflict',
      'agents.second-person',
      `${name}: ${why}. That waits for a second person: apply it as a manifest (gatehouse apply), which proposes it. Nothing of this request was done.`,
    );
  }
}
