import type { Caller } from '../identity/index.ts';
import type { PolicySet } from '../policy/index.ts';
import type { RegisteredTool, Snapshot } from '../registry/index.ts';
import type { EnforcementDependencies } from './enforce.ts';
import { featureTool } from './subject.ts';
import type { Enforcement } from './types.ts';
import { authorityOf } from './who.ts';

/** What a task may ever use, for listings: nothing is decided here about a call. */
export function createUsable({
  registry,
  policies,
}: Pick<EnforcementDependencies, 'registry' | 'policies'>): Pick<Enforcement, 'usableTools' | 'usesFeature'> {
  return {
    async usableTools(caller, onlyServer) {
      const snapshot = registry.snapshot();
      const authority = authorityOf(snapshot, caller);
      if (authority?.agent.state !== 'active') return [];
      const set = policies(snapshot);
      const usable: RegisteredTool[] = [];
      for (const server of snapshot.servers.values()) {
        if (onlyServer !== undefined && server.name !== onlyServer) continue;
        if (!server.manifest.environments.includes(caller.task.environment)) continue;
        for (const tool of server.tools.values()) {
          if (tool.state === 'approved' && tool.tier < 4 && set.mayEverUse(authority, tool)) usable.push(tool);
        }
      }
      return usable.sort((a, b) => (a.ref < b.ref ? -1 : 1));
    },
    usesFeature(caller, name, feature) {
      const snapshot = registry.snapshot();
      const authority = authorityOf(snapshot, caller);
      const server = snapshot.servers.get(name);
      if (authority?.agent.state !== 'active' || !server) return false;
      const tool = featureTool(server, feature);
      return tool.tier < 4 && policies(snapshot).mayEverUse(authority, tool);
    },
  };
}

/** Whether a task may ever use anything of this server, reviewed and served or not. */
export function mayUse(snapshot: Snapshot, set: PolicySet, caller: Caller, name: string): boolean {
  const server = snapshot.servers.get(name);
  const authority = authorityOf(snapshot, caller);
  if (!server?.manifest.environments.includes(caller.task.environment) || !authority) return false;
  const features = [featureTool(server, 'prompts'), featureTool(server, 'resources')];
  return [...server.tools.values(), ...features].some((tool) => tool.tier < 4 && set.mayEverUse(authority, tool));
}
