import { baselineLimits as limits } from './limits.ts';
import type { Cell } from './profile.ts';
import type { Addition } from './store.ts';

interface OfAgent {
  generation: number;
  additions: Map<string, Addition>;
}

/**
 * What was learned and is not written yet. While some of it is being written, more gathers beside it. Calls of one tool in one hour are one
 * addition, so that it grows with the number of tools and not of calls.
 */
export function createWaiting() {
  let gathering = new Map<string, OfAgent>();
  const writing = new Map<string, OfAgent>();

  function gather(agent: string, generation: number, addition: Addition): void {
    let own = gathering.get(agent);
    // What was learned for a baseline that was begun anew meanwhile is nobody's.
    if (own?.generation !== generation) {
      own = { generation, additions: new Map() };
      gathering.set(agent, own);
    }
    const { tool, cell, unusual } = addition;
    const of = `${tool} ${cell.hour} ${cell.clock} ${cell.said} ${unusual}`;
    const known = own.additions.get(of);
    if (known) merge(known.cell, cell);
    else own.additions.set(of, { ...addition, cell: { ...cell, resources: [...cell.resources] } });
  }

  const listed = (own: OfAgent | undefined, generation: number): Addition[] =>
    own?.generation === generation ? [...own.additions.values()] : [];

  return {
    /** False: so much waits that it is to be written now. */
    add(agent: string, generation: number, addition: Addition): boolean {
      if (gathering.size >= 2 * limits.waitingAgents && !gathering.has(agent)) return false;
      gather(agent, generation, addition);
      return gathering.size < limits.waitingAgents;
    },
    has: (agent: string) => gathering.has(agent) || writing.has(agent),
    isWriting: (agent: string) => writing.has(agent),
    /** What gathers now, and is in no database. */
    of: (agent: string, generation: number): Addition[] => listed(gathering.get(agent), generation),
    /** All that waits is to be written; gives the agents. */
    begin(): string[] {
      for (const [agent, own] of gathering) writing.set(agent, own);
      gathering = new Map();
      return [...writing.keys()];
    },
    writing: (agent: string, generation: number): Addition[] => listed(writing.get(agent), generation),
    written: (agent: string) => void writing.delete(agent),
    /** It could not be written, and waits with what has gathered since. */
    again(agents: readonly string[]): void {
      for (const agent of agents) {
        const own = writing.get(agent);
        writing.delete(agent);
        if (!own || (gathering.get(agent)?.generation ?? own.generation) !== own.generation) continue;
        for (const addition of own.additions.values()) gather(agent, own.generation, addition);
      }
    },
  };
}

function merge(into: Cell, cell: Cell): void {
  into.calls += cell.calls;
  into.first = Math.min(into.first, cell.first);
  into.last = Math.max(into.last, cell.last);
  into.bytes = Math.max(into.bytes, cell.bytes);
  into.bytesInAll += cell.bytesInAll;
  if (cell.amount !== null) into.amount = Math.max(into.amount ?? 0, cell.amount);
  for (const resource of cell.resources)
    if (!into.resources.includes(resource) && into.resources.length <= limits.resourcesPerTool)
      into.resources.push(resource);
}
