import type { Lifecycle, Manifest } from '@gatehouse/protocol';
import { GatehouseError } from '../platform/index.ts';
import type { DatabaseTransaction } from '../storage/index.ts';
import { addAgentKey, enrolAgentKey, removeAgentKey, setAgentState, setAgentStateWithin } from './agents.ts';
import { apply, rehearse } from './apply.ts';
import { endTasks as endTasksById, setAgentStates, startTasks } from './bulk.ts';
import type { Context, RegistryDependencies } from './context.ts';
import { endTask, endTasks } from './end-task.ts';
import { createKeeper } from './keeper.ts';
import { fromObjectRow } from './objects.ts';
import { observe } from './observe.ts';
import { createPersonChanges } from './persons.ts';
import { agentManifestOf, byKindAndName } from './plan.ts';
import { keepVersion } from './policy-versions.ts';
import { listDefinitions, review } from './review.ts';
import { revokeToken } from './revoked-tokens.ts';
import { resumeTask, suspendTask } from './suspend-task.ts';
import { createTaskCache } from './task-cache.ts';
import { findTask, listTasks, startTask } from './tasks.ts';
import type { Agent, Registry } from './types.ts';
import { activeWorkload, readWorkload, readWorkloads, requireActive, setWorkloadState } from './workloads.ts';

/** Reads the workspace into memory. From then on `refresh` keeps it as the feed says. */
export async function createRegistry(deps: RegistryDependencies): Promise<Registry> {
  const { storage, clock, trustDomain } = deps;
  const tasks = createTaskCache();
  const keeper = await createKeeper({ db: storage.db, clock, trustDomain, onChanges: tasks.forget });
  const context: Context = { ...deps, keeper, tasks };

  function setState(
    agent: string,
    state: Lifecycle,
    by: string,
    options?: { killed?: boolean },
  ): Promise<{ agent: Agent; change: number; endedTasks: number }>;
  function setState(
    agent: string,
    state: Lifecycle,
    by: string,
    options: { killed?: boolean; within: DatabaseTransaction },
  ): Promise<{ agent: Agent; change: null; endedTasks: number }>;
  function setState(
    agent: string,
    state: Lifecycle,
    by: string,
    { killed, within }: { killed?: boolean; within?: DatabaseTransaction } = {},
  ): Promise<{ agent: Agent; change: number | null; endedTasks: number }> {
    return within
      ? setAgentStateWithin(context, agent, state, by, { killed, within })
      : setAgentState(context, agent, state, by, { killed });
  }

  return {
    ...createPersonChanges(context),
    snapshot: keeper.snapshot,
    agentNames: keeper.agentNames,
    refresh: keeper.follow,
    async plan(manifests, options) {
      return (await rehearse(context, manifests, options)).steps.map(({ change }) => change);
    },
    rehearse: (manifests, options) => rehearse(context, manifests, options),
    keepVersion: (policyVersion) =>
      storage.transaction(async (transaction) => {
        if (!(await transaction.selectFrom('objects').select('name').limit(1).executeTakeFirst())) return;
        const changes = ['what decides as this server found it'];
        const kept = { policyVersion, keys: [], by: 'gatehouse', at: clock.now(), changes };
        const number = await keepVersion(transaction, kept);
        if (number === null) return;
        const words = [`version ${number} of the policies, ${policyVersion}`, ...changes];
        await deps.recordChange(transaction, { operation: 'policy.version', by: 'gatehouse', changes: words });
      }),
    apply: (manifests, options) => apply(context, manifests, options),
    async exportManifests() {
      const objects = (await storage.db.selectFrom('objects').select('body').execute())
        .map(fromObjectRow)
        .filter(({ person }) => person?.declared !== false);
      const agents = await storage.db
        .selectFrom('agents')
        .selectAll()
        .where('name', 'not in', (query) => query.selectFrom('scim_agents').select('name'))
        .execute();
      const manifests: Manifest[] = [
        ...objects.map(({ manifest }) => manifest),
        ...agents.map((row) => agentManifestOf(row)),
      ];
      return manifests.sort(byKindAndName);
    },
    addAgentKey: (agent, key, by) => addAgentKey(context, agent, key, by),
    removeAgentKey: (agent, thumbprint, by) => removeAgentKey(context, agent, thumbprint, by),
    enrolAgentKey: (agent, key, enrolment) => enrolAgentKey(context, agent, key, enrolment),
    workloads: () => readWorkloads(storage.db, trustDomain),
    workload: (name) => readWorkload(storage.db, trustDomain, name),
    activeWorkload: (name) => activeWorkload(storage.db, trustDomain, name),
    workloadAtWork(name) {
      if (!storage.feed.fresh())
        throw new GatehouseError(
          'unavailable',
          'feed.stale',
          'This replica has lost touch with the workspace and lets nobody in. Try again, or another replica.',
        );
      return requireActive(keeper.workload(name), name);
    },
    setWorkloadState: (name, state, by, options) => setWorkloadState(context, name, state, by, options),
    setAgentState: setState,
    startTask: (agent, details, grounds) => startTask(context, agent, details, grounds),
    task: (id) => findTask(context, id),
    listTasks: (filter) => listTasks(context, filter),
    suspendTask: (id, by, reason, agentLimit) => suspendTask(context, id, by, reason, agentLimit),
    resumeTask: (id, by) => resumeTask(context, id, by),
    endTask: (id, by, within) => endTask(context, id, by, within),
    endTasks: (transaction, of, by) => endTasks(context, transaction, of, by),
    bulk: {
      setAgentStates: (names, state, by) => setAgentStates(context, names, state, by),
      startTasks: (requests, by, idempotencyKey) => startTasks(context, requests, by, idempotencyKey),
      endTasks: (ids, by) => endTasksById(context, ids, by),
    },
    revokeToken: (token, by) => revokeToken(context, token, by),
    observeDefinitions: (server, served, by, options) => observe(context, server, served, by, options?.kinds),
    listDefinitions: (filter) => listDefinitions(storage.db, filter),
    reviewDefinition: (of, decision, expectedDigest, by) => review(context, of, decision, expectedDigest, by),
  };
}
