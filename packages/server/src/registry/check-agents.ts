import type { AgentManifest, Manifest } from '@gatehouse/protocol';
import { checkDelegatesTo } from './check-people.ts';
import type { Workspace } from './check-workspace.ts';
import { keyProblem, thumbprint } from './keys.ts';
import { skeleton } from './look-alikes.ts';
import { type ManifestProblem, missing, problemOf } from './manifest-problem.ts';
import { keyOf, nameOf } from './objects.ts';
import { checkTrustRules, startsProblems, workloadProblems } from './trust-rules/index.ts';

/** What a retired agent once referred to may be gone. */
export function checkAgent({ objects }: Workspace, agent: AgentManifest): ManifestProblem[] {
  if (agent.state === 'retired') return [];
  const problem = problemOf(agent);
  const problems: ManifestProblem[] = [];
  if (!objects.has(`Environment/${agent.environment}`))
    problems.push(problem('environment', missing('Environment', agent.environment)));
  if (!objects.has(`Blueprint/${agent.blueprint}`))
    problems.push(problem('blueprint', missing('Blueprint', agent.blueprint)));
  if (!objects.has(`Person/${agent.owner}`))
    problems.push(problem('owner', `${missing('Person', agent.owner)} An agent is owned by a person.`));
  for (const [at, client] of (agent.clients ?? []).entries())
    if (!client.startsWith('https:') && !objects.has(`Client/${client}`))
      problems.push(problem(`clients[${at}]`, missing('Client', client)));
  return [...problems, ...checkDelegatesTo(objects, agent.delegatesTo?.blueprints ?? [], problem)];
}

/** Who may come from outside, and as whom. */
export function checkOutsiders({ objects, agents, environmentOf }: Workspace): ManifestProblem[] {
  const applied = new Map(agents.map(({ name, environment }) => [name, environment]));
  const environmentNow = (agent: string) => applied.get(agent) ?? environmentOf(agent);
  const all = [...objects.values()];
  const rules = all.filter((manifest) => manifest.kind === 'TrustRule');
  return [
    ...checkTrustRules({
      rules,
      hasAgent: (agent) => environmentNow(agent) !== undefined,
      hasWorkload: (workload) => objects.has(`Workload/${workload}`),
      hasTrustDomain: (domain) => objects.has(`TrustDomain/${domain}`),
    }).map(({ rule, path, message }) => ({ kind: 'TrustRule', name: rule, path, message })),
    ...all
      .filter((manifest) => manifest.kind === 'Workload')
      .flatMap((workload) =>
        workloadProblems(workload, {
          hasEnvironment: (environment) => objects.has(`Environment/${environment}`),
          hasPerson: (email) => objects.has(`Person/${email}`),
          environmentOf: environmentNow,
          hasTemplate: (template) => objects.has(`Template/${template}`),
          serverEnvironments(server) {
            const found = objects.get(`ToolServer/${server}`);
            return found?.kind === 'ToolServer' ? found.environments : undefined;
          },
        }).map(([path, message]) => problemOf(workload)(path, message)),
      ),
  ];
}

/** An agent that moves leaves the workloads behind that may start its tasks: they are of its environment, or they do not name it. */
export function checkMoved({ objects, agents, environmentOf }: Workspace): ManifestProblem[] {
  const applied = new Map(agents.map(({ name, environment }) => [name, environment]));
  return [...objects.values()]
    .filter((manifest) => manifest.kind === 'Workload')
    .flatMap((workload) =>
      startsProblems(workload, { environmentOf: (agent) => applied.get(agent) ?? environmentOf(agent) }).map(
        ([path, message]) => problemOf(workload)(path, message),
      ),
    );
}

export function checkNames({ objects, agents, created, lookAlikeAgent }: Workspace): ManifestProblem[] {
  const problems: ManifestProblem[] = [];
  const seen = new Map<string, string>();
  const all: Manifest[] = [...objects.values(), ...agents];
  // What exists already stands; it is the new name that has to give way.
  all.sort((a, b) => Number(created.has(keyOf(a))) - Number(created.has(keyOf(b))));
  for (const manifest of all) {
    const key = `${manifest.kind} ${skeleton(nameOf(manifest))}`;
    const other = seen.get(key) ?? (manifest.kind === 'Agent' ? lookAlikeAgent(manifest.name) : undefined);
    if (other === undefined) seen.set(key, nameOf(manifest));
    else if (other !== nameOf(manifest) && created.has(keyOf(manifest)))
      problems.push(
        problemOf(manifest)(
          '',
          `The name looks like that of the ${manifest.kind} "${other}": a person could take one for the other. Choose another name.`,
        ),
      );
  }
  return problems;
}

export function checkKeys({ agents, keyHolder }: Workspace): ManifestProblem[] {
  const holders = new Map<string, string>();
  return agents.flatMap((agent) =>
    agent.keys.flatMap((key, at) => {
      const print = thumbprint(key);
      const holder = holders.get(print) ?? keyHolder(print);
      holders.set(print, agent.name);
      const wrong =
        keyProblem(key) ??
        (holder === undefined || holder === agent.name
          ? undefined
          : `the agent "${holder}" has it already, and a key belongs to one agent`);
      return wrong ? [problemOf(agent)(`keys[${at}]`, `The key is refused: ${wrong}.`)] : [];
    }),
  );
}
