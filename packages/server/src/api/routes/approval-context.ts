import type { Approval, ApprovalContext, CallCredential, NamedTicket, Task } from '@gatehouse/protocol';
import { approvedLast, decidedSoFar } from '../../approvals/index.ts';
import { HAND_OUT } from '../../enforcement/index.ts';
import { GatehouseError, isJsonObject } from '../../platform/index.ts';
import { credentialOf } from '../../registry/index.ts';
import type { ApiDependencies } from '../dependencies.ts';

/** Agents of one blueprint that are looked at for something similar. */
const AGENTS_OF_BLUEPRINT = 200;

/** What to know before a yes: what it is like, where it comes from, and what was said to it before. */
export async function contextOf(id: string, person: string, deps: ApiDependencies): Promise<ApprovalContext> {
  const approval = await deps.approvals.get(id);
  if (!approval) throw new GatehouseError('not-found', 'approval.unknown', `There is no approval "${id}".`);
  const { agent, tool, template, environment } = approval;
  const tasks = await tasksOf(approval.task, deps);
  const [similar, flow, history, budgets] = await Promise.all([
    similarTo(approval, deps),
    flowOf(tasks, deps),
    decidedSoFar(deps.storage, { agent, tool, person }),
    deps.budgets.covering({ tool, agent, template, environment }),
  ]);
  const credential = credentialFor(approval, tasks, deps);
  return {
    description: descriptionOf(approval, deps),
    similar,
    credential: credential && { ...credential, kind: deps.credentials.kindOf(credential.provider) },
    vouchedBy: flow?.vouchedBy ?? null,
    ticket: named(tasks[0]?.ticket, approval.decision.situation?.ticket),
    changeRequest: named(tasks[0]?.changeRequest, approval.decision.situation?.changeRequest),
    labels: flow?.labels ?? [],
    history,
    budgets: budgets.map(({ name, limit, fullest }) => ({ name, limit, fullest })),
  };
}

const named = (id: string | null | undefined, said: NamedTicket | undefined): NamedTicket | null =>
  id ? { id, state: said?.id === id ? said.state : null } : null;

/** Of a hand-out what is handed out, as it is asked for: a tool server of the same name has nothing to do with it. */
function credentialFor(
  { operation, tool, arguments: given }: Approval,
  tasks: readonly Task[],
  { registry }: ApiDependencies,
): CallCredential | null {
  const [name = ''] = tool.split(/[/#]/);
  if (operation !== HAND_OUT) return credentialOf(registry.snapshot(), name, tasks);
  const scope = isJsonObject(given) && isJsonObject(given.scope) ? given.scope : null;
  return { provider: name, scope, problem: null };
}

async function similarTo({ id, agent, tool }: Approval, { storage, registry }: ApiDependencies) {
  const own = await approvedLast(storage, { agents: [agent], tool, except: id });
  if (own) return own;
  const { agents } = registry.snapshot();
  const blueprint = agents.get(agent)?.manifest.blueprint;
  const others: string[] = [];
  for (const other of agents.values()) {
    if (other.name !== agent && other.manifest.blueprint === blueprint) others.push(other.name);
    if (others.length === AGENTS_OF_BLUEPRINT) break;
  }
  return approvedLast(storage, { agents: others, tool, except: id });
}

/** As it was approved, if what was asked about is still what is approved. */
function descriptionOf({ tool: ref, toolDefinition }: Approval, { registry }: ApiDependencies): string | null {
  const [server = '', ...name] = ref.split('/');
  const tool = registry.snapshot().servers.get(server)?.tools.get(name.join('/'));
  const description = tool?.digest === toolDefinition ? tool.definition?.description : undefined;
  return typeof description === 'string' ? description : null;
}

function flowOf([task, ...above]: readonly Task[], { flow }: ApiDependencies) {
  return (
    task && flow.show({ agent: task.agent, task, chain: above.map((each) => ({ agent: each.agent, task: each })) })
  );
}

/** It, and those that it was handed on from, nearest first. */
async function tasksOf(id: string, { registry }: ApiDependencies): Promise<Task[]> {
  const found: Task[] = [];
  for (let next: string | null = id; next !== null; ) {
    const task: Task | undefined = await registry.task(next);
    if (!task) break;
    found.push(task);
    next = task.parent;
  }
  return found;
}
