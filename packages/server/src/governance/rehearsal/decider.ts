import type { Decision, RecordedSituation, Task } from '@gatehouse/protocol';
import { checkArguments, findSubject, handOutOf, isHandOut, isRefusal } from '../../enforcement/index.ts';
import type { Json } from '../../platform/index.ts';
import { compilePolicies, fromRecordedSituation, openCalendars } from '../../policy/index.ts';
import { type Agent, groupsOf, type RegisteredTool, type Snapshot } from '../../registry/index.ts';

/** All of a workspace that decisions depend on, as plain data: it crosses to a thread. `agents`: only those that a change touches. */
export type DecidingParts = Pick<
  Snapshot,
  | 'servers'
  | 'credentialProviders'
  | 'environments'
  | 'templates'
  | 'groups'
  | 'policies'
  | 'calendars'
  | 'approvalRules'
  | 'people'
  | 'agents'
>;

export function decidingParts(snapshot: Snapshot, agents: Snapshot['agents'] = new Map()): DecidingParts {
  const { credentialProviders, environments, templates, groups, policies, calendars, approvalRules, people } = snapshot;
  // How a server is reached decides nothing, and is where people put keys.
  const servers = new Map(
    [...snapshot.servers].map(([name, server]) => [
      name,
      {
        ...server,
        manifest: { ...server.manifest, transport: { type: 'stdio', command: '', args: [], env: {}, directories: [] } },
      },
    ]),
  ) as Snapshot['servers'];
  return {
    servers,
    credentialProviders,
    environments,
    templates,
    groups,
    policies,
    calendars,
    approvalRules,
    people,
    agents,
  };
}

/** One recorded action, with whose authority it had. */
export interface PastAction {
  operation: string;
  server: string;
  name: string;
  agent: Agent;
  task: Task;
  chain: { agent: Agent; task: Task }[];
  arguments: Json;
  at: number;
  situation: RecordedSituation | undefined;
}

export interface Decider {
  policyVersion: string;
  decide(action: PastAction): Decision;
}

/** Steps 2 and 3 of the choke point, over what was recorded. Who may act at all (step 1) is taken as it was then. */
export function createDecider(parts: DecidingParts): Decider {
  const set = compilePolicies(parts, { validated: true });
  const users = new Map<string, { email: string; roles: readonly string[]; groups: readonly string[] } | null>();
  let checked: { tool: RegisteredTool; arguments: Json; problem: string | undefined } | undefined;

  function userOf(email: string | null) {
    if (email === null) return null;
    let user = users.get(email);
    if (user === undefined) {
      const person = parts.people.get(email);
      user = person ? { email: person.email, roles: person.roles, groups: groupsOf(parts, email) } : null;
      users.set(email, user);
    }
    return user;
  }

  const nowOf = (agent: Agent) => parts.agents.get(agent.name) ?? agent;

  return {
    policyVersion: set.version,
    decide({ operation, server, name, agent, task, chain, arguments: recorded, at, situation }) {
      const deny = (code: string, reason: string, tool: RegisteredTool | null): Decision => ({
        effect: 'deny',
        tier: tool?.tier ?? 4,
        code,
        reason,
        policies: [],
        policyVersion: set.version,
      });
      const found = findSubject(parts, { operation, server, name, arguments: recorded, caller: { task } });
      if (isRefusal(found)) return deny(found.code, found.reason, found.tool);
      let args = recorded;
      if (isHandOut(found)) {
        // What was recorded is what was asked for, or what that came to: neither is more than the other.
        const tasks = [task, ...chain.map((link) => link.task)];
        const handOut = handOutOf(parts, server, tasks, recorded, nowOf(agent).manifest.credentialSeconds);
        if ('refused' in handOut) return deny(handOut.refused.code, handOut.refused.reason, found);
        args = handOut;
      }
      if (checked?.tool !== found || checked.arguments !== args)
        checked = { tool: found, arguments: args, problem: checkArguments(found, args) };
      if (checked.problem !== undefined)
        return deny('arguments.invalid', `The arguments do not fit ${found.ref}: ${checked.problem}.`, found);
      return set.decide({
        agent: nowOf(agent),
        task,
        chain: chain.map((link) => ({ agent: nowOf(link.agent), task: link.task })),
        user: userOf(task.user),
        tool: found,
        arguments: args,
        situation: fromRecordedSituation(situation, at, openCalendars(parts.calendars, at), found.labels.roles),
      });
    },
  };
}
