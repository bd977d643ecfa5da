import { GatehouseError, Secret } from '../../platform/index.ts';
import type { Registry } from '../../registry/index.ts';
import type { IssueDependencies } from '../tokens/issue-access-token.ts';
import { type IssueIdJag, issueIdJag } from './issue-id-jag.ts';

/** What another authorization server is told of a task's person. */
export interface PersonAssertion extends Pick<IssueIdJag, 'at' | 'clientId' | 'resources' | 'scopes' | 'form'> {
  agent: string;
  task: string;
}

/**
 * For the gate, which exchanges it for a token of that server. INVARIANT: only of a person whom a verified token or a delegation vouches for, and
 * only while agent, chain, person and task stand.
 */
export function createPersonAssertions(
  dependencies: Omit<IssueDependencies, 'registry'> & { registry: Pick<Registry, 'snapshot' | 'task'> },
) {
  const { registry } = dependencies;
  return async ({ agent: name, task: id, ...rest }: PersonAssertion): Promise<Secret> => {
    const agent = registry.snapshot().agents.get(name);
    const task = await registry.task(id);
    if (!agent || !task?.user || task.agent !== name)
      throw new GatehouseError('forbidden', 'account.user', 'This task is for no verified person.');
    const issued = await issueIdJag(dependencies, {
      ...{ ...rest, agent, heldBy: 'gate', jkt: undefined },
      ...{ task: { ...task, user: task.user }, expiresAt: Math.floor(task.expiresAt / 1_000) },
    });
    if (issued.ok) return new Secret(issued.token);
    throw new GatehouseError(
      'forbidden',
      'lease.stopped',
      `The ${issued.changed} has changed meanwhile, so nothing is asserted of this task. Try again.`,
    );
  };
}
