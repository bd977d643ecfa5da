import type { Approvals, Channels } from '../approvals/index.ts';
import type { Credentials } from '../credentials/index.ts';
import type { Enforcement } from '../enforcement/index.ts';
import type { McpDoor, UpstreamAuthorizations, Upstreams } from '../gate/index.ts';
import type { Identity } from '../identity/index.ts';
import type { Log } from '../platform/index.ts';
import type { Baseline } from '../policy/index.ts';
import type { Registry } from '../registry/index.ts';
import type { Change, KeyRing } from '../storage/index.ts';
import type { Departures } from './offboard.ts';

export interface FollowDependencies {
  registry: Registry;
  keyRing: Pick<KeyRing, 'refresh'>;
  identity: Pick<Identity, 'refresh' | 'peers'>;
  approvals: Approvals;
  credentials: Pick<Credentials, 'refresh'>;
  channels: Pick<Channels, 'wake'>;
  baseline: Pick<Baseline, 'refresh'>;
  authorizations: Pick<UpstreamAuthorizations, 'refresh'>;
  enforcement: Pick<Enforcement, 'stop'>;
  departures: Pick<Departures, 'look'>;
  upstreams: Pick<Upstreams, 'end'>;
  door: Pick<McpDoor, 'refresh'>;
  log: Log;
}

/**
 * What a replica does with changes that others, or itself, have made: it sees them, and ends what they stop. It has acknowledged them when
 * this resolves (law 6), so that nothing slow is waited for.
 */
export function createFollower(deps: FollowDependencies): (changes: Change[]) => Promise<void> {
  const { registry, identity, enforcement, upstreams, log } = deps;

  function agentChanged(name: string): void {
    const agent = registry.snapshot().agents.get(name);
    // Killed and activated again before this replica heard of either: what began before the kill ends all the same.
    if (agent?.state === 'active') {
      enforcement.stop({ agent: name, beforeEpoch: agent.epoch }, `the agent ${name} has changed`);
      return;
    }
    identity.peers.end(name);
    const how = agent?.killedAt ? 'was killed' : `is ${agent?.state ?? 'gone'}`;
    enforcement.stop({ agent: name }, `the agent ${name} ${how}`);
  }

  async function taskChanged(id: string): Promise<void> {
    const task = await registry.task(id);
    if (task?.state === 'active' && !task.suspended) return;
    enforcement.stop({ task: id }, `the task ${id} ${task?.suspended ? 'is suspended' : 'has ended'}`);
    if (task?.state === 'active') return;
    upstreams.end({ task: id }).catch((error) => log.warn('a task left something behind', { task: id, error }));
  }

  function serverChanged(server: string): void {
    if (registry.snapshot().servers.has(server)) return;
    upstreams.end({ server }).catch((error) => log.warn('a removed server left something behind', { server, error }));
  }

  /** What it was injected into goes with it. */
  function leaseEnded(lease: string): void {
    upstreams
      .end({ lease })
      .catch((error) => log.warn('a credential that ended left something behind', { lease, error }));
  }

  return async (changes) => {
    await registry.refresh(changes);
    if (changes.some(({ topic }) => topic === 'key')) await deps.keyRing.refresh();
    await identity.refresh(changes);
    await deps.approvals.refresh(changes);
    if (changes.some(({ topic }) => topic === 'approval')) deps.channels.wake();
    deps.baseline.refresh(changes);
    deps.authorizations.refresh(changes);
    // What is stopped is stopped before anything is looked up.
    for (const { topic, key } of changes) {
      if (topic === 'token') enforcement.stop({ token: key }, 'its token was revoked');
      if (topic === 'agent') agentChanged(key);
      const person = topic === 'object' && nameIn('Person', key);
      if (person) deps.departures.look([person]);
    }
    deps.credentials.refresh(changes);
    for (const { topic, key } of changes) {
      if (topic === 'lease') leaseEnded(key);
      const server = topic === 'object' && nameIn('ToolServer', key);
      if (server) serverChanged(server);
      if (topic === 'task') await taskChanged(key);
    }
    deps.door.refresh(changes);
  };
}

const nameIn = (kind: string, key: string) => key.startsWith(`${kind}/`) && key.slice(kind.length + 1);
