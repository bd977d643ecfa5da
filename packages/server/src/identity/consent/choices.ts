import type { ConsentChoice, ConsentClient, ConsentTool, ConsentWish, PersonManifest } from '@gatehouse/protocol';
import { isAllowedBy, toolPatternMatches } from '@gatehouse/protocol';
import { digestJson, limits } from '../../platform/index.ts';
import { type Agent, groupsOf, type RegisteredServer, type Snapshot } from '../../registry/index.ts';

/** What a person is offered: agents that this client may drive, each with the templates that it may start tasks under. */
export interface Asked {
  id: string;
  client: ConsentClient;
  person: PersonManifest;
  resources: string[];
  wish: ConsentWish | null;
}

/** A page with more than this is read by nobody: bind the client to an agent (`clients` in its manifest). */
export const MOST_CHOICES = 50;

export function choicesFor(snapshot: Snapshot, asked: Asked): ConsentChoice[] {
  const choices: ConsentChoice[] = [];
  for (const agent of agentsFor(snapshot, asked)) {
    for (const template of templatesOf(snapshot, agent, asked.wish)) {
      const choice = choiceOf(snapshot, agent, template, asked);
      if (choice) choices.push(choice);
      if (choices.length === MOST_CHOICES) return choices;
    }
  }
  return choices;
}

/** A digest of all that is shown for one agent and template: whatever changes in it makes another choice of it. */
export function choiceOf(
  snapshot: Snapshot,
  agent: Agent,
  templateName: string,
  asked: Asked,
): ConsentChoice | undefined {
  const template = snapshot.templates.get(templateName);
  const environment = snapshot.environments.get(agent.manifest.environment);
  if (!template || !environment) return undefined;
  const { id, client, person, resources, wish } = asked;
  const tools = toolsOf(snapshot, environment.name, template.allow, rulesFor(snapshot, person)).filter(({ ref }) =>
    isAmong(wish?.tools ?? undefined, ref),
  );
  if (wish?.tools && tools.length === 0) return undefined;
  const shown = {
    agent: agent.name,
    purpose: agent.manifest.purpose,
    environment: environment.name,
    production: environment.production,
    owner: agent.manifest.owner,
    bearerOnly: agent.manifest.bearerOnly,
    template: template.name,
    description: template.description ?? null,
    parameters: template.parameters,
    ttlSeconds: Math.min(template.ttlSeconds, limits.taskTtlSeconds),
    tools,
  };
  return {
    ...shown,
    digest: digestJson({ v: 1, id, client, person: person.email, resources, agentEpoch: agent.epoch, shown }),
  };
}

/** Whether a tool is one of those that were asked for. */
export const isAmong = (tools: string[] | undefined, ref: string) =>
  tools === undefined || tools.some((pattern) => toolPatternMatches(pattern, ref));

export function agentsFor(snapshot: Snapshot, { client, person }: Pick<Asked, 'client' | 'person'>): Agent[] {
  if (client.known === 'command-line') return [];
  if (client.known === 'agent') {
    const agent = snapshot.agents.get(client.id);
    return agent && isRunning(agent) ? [agent] : [];
  }
  const bound = firstByName();
  const free = firstByName();
  for (const agent of snapshot.agents.values()) {
    const { clients = [] } = agent.manifest;
    if (clients.length > 0 && !clients.includes(client.id)) continue;
    if (!isRunning(agent) || !mayDrive(person, agent)) continue;
    (clients.length > 0 ? bound : free).add(agent);
  }
  const its = bound.list();
  return its.length > 0 ? its : free.list();
}

/** The first that a page can show, by name. There may be a million agents, and they are not sorted for one person's page. */
function firstByName() {
  let kept: Agent[] = [];
  let last: string | undefined;
  const trim = () => {
    kept = kept.sort((a, b) => (a.name < b.name ? -1 : 1)).slice(0, MOST_CHOICES);
  };
  return {
    add(agent: Agent) {
      if (last !== undefined && agent.name > last) return;
      kept.push(agent);
      if (kept.length < 2 * MOST_CHOICES) return;
      trim();
      last = kept.at(-1)?.name;
    },
    list(): Agent[] {
      trim();
      return kept;
    },
  };
}

/** An agent is driven by its owner, or by developers. */
export function mayDrive(person: PersonManifest, agent: Agent): boolean {
  return agent.manifest.owner === person.email || person.roles.includes('developer');
}

const isRunning = (agent: Agent) => agent.state === 'active' && agent.killedAt === null;

function templatesOf(snapshot: Snapshot, agent: Agent, wish: ConsentWish | null): string[] {
  const allowed = snapshot.blueprints.get(agent.manifest.blueprint)?.templates ?? [];
  // What was asked for comes first; a wish that the agent may not have is only a wish.
  return wish && allowed.includes(wish.template)
    ? [wish.template, ...allowed.filter((name) => name !== wish.template)]
    : allowed;
}

type Rules = Snapshot['templates'] extends ReadonlyMap<string, infer T extends { allow: unknown }> ? T['allow'] : never;

/** What the person's own groups allow: an agent that acts for them can do no more (law 5). */
function rulesFor(snapshot: Snapshot, { email }: PersonManifest): Rules {
  return groupsOf(snapshot, email).flatMap((name) => snapshot.groups.get(name)?.allow ?? []);
}

function toolsOf(snapshot: Snapshot, environment: string, rules: Rules, own: Rules): ConsentTool[] {
  const tools: ConsentTool[] = [];
  for (const server of snapshot.servers.values()) {
    if (!server.manifest.environments.includes(environment)) continue;
    for (const thing of thingsOf(server)) {
      const registered = server.tools.get(thing.ref.slice(server.name.length + 1));
      const tool = {
        ref: thing.ref,
        effects: registered?.effects ?? [],
        domain: registered?.labels.domain ?? null,
      };
      const covers = (rule: Rules[number]) => isAllowedBy(rule, tool);
      const matching = rules.filter(covers);
      if (matching.length > 0)
        tools.push({ ...thing, yours: own.some(covers), when: matching.map(({ when }) => when ?? {}) });
    }
  }
  return tools.sort((a, b) => a.ref.localeCompare(b.ref));
}

/** What can be called at all: approved, and not prohibited. */
function thingsOf(server: RegisteredServer): Omit<ConsentTool, 'when' | 'yours'>[] {
  const { resources, prompts } = server.manifest;
  const described = (text: unknown) => (typeof text === 'string' ? text : null);
  return [
    ...[...server.tools.values()]
      .filter(({ state, tier }) => state === 'approved' && tier < 4)
      .map(({ ref, tier, effects, definition }) => ({
        ref,
        description: described(definition?.description),
        tier,
        effects,
      })),
    ...(resources && resources.tier < 4
      ? [{ ref: `${server.name}#resources`, description: null, tier: resources.tier, effects: ['read' as const] }]
      : []),
    ...(prompts && prompts.tier < 4
      ? [{ ref: `${server.name}#prompts`, description: null, tier: prompts.tier, effects: ['read' as const] }]
      : []),
  ];
}
