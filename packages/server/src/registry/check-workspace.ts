import {
  type AgentManifest,
  type ApprovalRuleManifest,
  type BudgetManifest,
  type ClientManifest,
  COMMAND_LINE_CLIENT,
  type GroupManifest,
  type Manifest,
  type OnCallManifest,
  type TemplateManifest,
  type ToolServerManifest,
} from '@gatehouse/protocol';
import { GatehouseError, isTimeZone } from '../platform/index.ts';
import { checkSink } from './check-sink.ts';
import { keyProblem, thumbprint } from './keys.ts';
import { skeleton } from './look-alikes.ts';
import { keyOf, nameOf, type ObjectManifest } from './objects.ts';
import { checkTrustRules, startsProblems, workloadProblems } from './trust-rules/index.ts';

/** What is wrong with one manifest, and where. */
export interface ManifestProblem {
  kind: string;
  name: string;
  /** `environment`, `allow[0].tools[1]`; empty for the whole. */
  path: string;
  message: string;
}

/** A workspace as it would be after an apply. */
export interface Workspace {
  objects: ReadonlyMap<string, ObjectManifest>;
  /** False: `objects` are only what the agents refer to, and the workloads when one moves; they were checked when they were applied. */
  isWhole: boolean;
  /** Our own. */
  trustDomain: string;
  /** Only those that the apply names. */
  agents: readonly AgentManifest[];
  /** Keys (`Kind/name`) that did not exist before. */
  created: ReadonlySet<string>;
  /** Agents outside of this apply. */
  lookAlikeAgent(name: string): string | undefined;
  keyHolder(thumbprint: string): string | undefined;
  /** Of an agent outside of this apply; undefined when there is none. */
  environmentOf(agent: string): string | undefined;
}

/** Everything that refers to something refers to what exists, and no name can be taken for another. */
export function checkWorkspace(workspace: Workspace): ManifestProblem[] {
  const objects = workspace.isWhole ? [...workspace.objects.values()] : [];
  return [
    ...objects.flatMap((manifest) => checkObject(workspace, manifest)),
    ...workspace.agents.flatMap((agent) => checkAgent(workspace, agent)),
    ...(workspace.isWhole ? checkOutsiders(workspace) : checkMoved(workspace)),
    ...checkNames(workspace),
    ...checkKeys(workspace),
  ];
}

function checkObject({ objects, trustDomain }: Workspace, manifest: ObjectManifest): ManifestProblem[] {
  const problem = problemOf(manifest);
  switch (manifest.kind) {
    case 'Blueprint':
      return [
        ...manifest.templates.flatMap((template, at) =>
          objects.has(`Template/${template}`) ? [] : [problem(`templates[${at}]`, missing('Template', template))],
        ),
        ...checkDelegatesTo(objects, manifest.delegatesTo?.blueprints ?? [], problem),
      ];
    case 'AgentMapping':
      return [
        ...(objects.has(`Environment/${manifest.environment}`)
          ? []
          : [problem('environment', missing('Environment', manifest.environment))]),
        ...(objects.has(`Blueprint/${manifest.blueprint}`)
          ? []
          : [problem('blueprint', missing('Blueprint', manifest.blueprint))]),
        ...[...objects.values()].flatMap((other) =>
          other.kind === 'AgentMapping' && other.agentType === manifest.agentType && other.name < manifest.name
            ? [problem('agentType', `"${other.name}" is for this agentType already; one alone decides.`)]
            : [],
        ),
      ];
    case 'Group':
      return checkGroup(objects, manifest);
    case 'Environment':
      return isTimeZone(manifest.baseline?.zone ?? 'UTC')
        ? []
        : [
            problem(
              'baseline.zone',
              `"${manifest.baseline?.zone}" is no time zone: give one such as Europe/Berlin or UTC.`,
            ),
          ];
    case 'Calendar':
      return isTimeZone(manifest.zone)
        ? []
        : [problem('zone', `"${manifest.zone}" is no time zone: give one such as Europe/Berlin or UTC.`)];
    case 'Person':
      return isTimeZone(manifest.quietHours?.zone ?? 'UTC')
        ? []
        : [
            problem(
              'quietHours.zone',
              `"${manifest.quietHours?.zone}" is no time zone: give one such as Europe/Berlin or UTC.`,
            ),
          ];
    case 'OnCall':
      return checkOnCall(objects, manifest);
    case 'ApprovalRule':
      return checkApprovalRule(objects, manifest);
    case 'TicketSystem':
      return manifest.prefixes.flatMap((prefix, at) =>
        [...objects.values()].flatMap((other) =>
          other.kind === 'TicketSystem' &&
          other.name !== manifest.name &&
          other.prefixes.some((each) => each.startsWith(prefix) || prefix.startsWith(each))
            ? [problem(`prefixes[${at}]`, `"${prefix}" is looked up in "${other.name}" as well; one alone decides.`)]
            : [],
        ),
      );
    case 'Detector':
    case 'Channel':
      return missingEnvironments(objects, manifest);
    case 'Sink':
      return checkSink(objects, manifest).map(({ path, message }) => problem(path, message));
    case 'ToolServer':
      return [...missingEnvironments(objects, manifest), ...checkTransport(manifest), ...checkToolNames(manifest)];
    case 'Template':
      return checkTemplate(objects, manifest);
    case 'TrustDomain':
      return manifest.name === trustDomain
        ? [problem('name', `"${trustDomain}" is this workspace's own trust domain: its bundle is made here.`)]
        : [];
    case 'Budget':
      return checkBudget(objects, manifest);
    case 'Client':
      return checkClient(manifest);
    case 'ResourceServer':
      return [
        ...manifest.templates.flatMap((template, at) =>
          objects.has(`Template/${template}`) ? [] : [problem(`templates[${at}]`, missing('Template', template))],
        ),
        ...manifest.groups.flatMap((group, at) =>
          objects.has(`Group/${group}`) ? [] : [problem(`groups[${at}]`, missing('Group', group))],
        ),
      ];
    case 'IdentityProvider': {
      const template = manifest.idJag?.template;
      return template === undefined || objects.has(`Template/${template}`)
        ? []
        : [problem('idJag.template', missing('Template', template))];
    }
    default:
      return [];
  }
}

/** Agents may be named before they are registered: until then nobody has the name. */
function checkDelegatesTo(
  objects: Workspace['objects'],
  blueprints: string[],
  problem: ReturnType<typeof problemOf>,
): ManifestProblem[] {
  return blueprints.flatMap((blueprint, at) =>
    objects.has(`Blueprint/${blueprint}`)
      ? []
      : [problem(`delegatesTo.blueprints[${at}]`, missing('Blueprint', blueprint))],
  );
}

function checkGroup(objects: Workspace['objects'], group: GroupManifest): ManifestProblem[] {
  const problem = problemOf(group);
  return [
    ...group.members.flatMap((member, at) =>
      objects.has(`Person/${member}`) ? [] : [problem(`members[${at}]`, missing('Person', member))],
    ),
    ...group.allow.flatMap((entry, index) => [
      ...patternProblems(objects, entry.tools ?? [], index, problem),
      ...Object.entries(entry.when ?? {}).flatMap(([argument, value]) =>
        typeof value === 'string' && value.startsWith('$')
          ? [problem(`allow[${index}].when.${argument}`, 'A group has no parameters: give the value itself.')]
          : [],
      ),
    ]),
  ];
}

function checkOnCall(objects: Workspace['objects'], rota: OnCallManifest): ManifestProblem[] {
  const problem = problemOf(rota);
  const unknown = (person: string | null) => person !== null && !objects.has(`Person/${person}`);
  return [
    ...(isTimeZone(rota.zone)
      ? []
      : [problem('zone', `"${rota.zone}" is no time zone: give one such as Europe/Berlin or UTC.`)]),
    ...rota.people.flatMap((person, at) =>
      unknown(person) ? [problem(`people[${at}]`, missing('Person', person))] : [],
    ),
    ...rota.overrides.flatMap(({ person }, at) =>
      unknown(person) ? [problem(`overrides[${at}].person`, missing('Person', person as string))] : [],
    ),
  ];
}

const kindNamedBy: Record<string, string> = {
  channel: 'Channel',
  group: 'Group',
  'on-call': 'OnCall',
  person: 'Person',
};

function checkApprovalRule(objects: Workspace['objects'], rule: ApprovalRuleManifest): ManifestProblem[] {
  const problem = problemOf(rule);
  const named: [string, string][] = [
    ...rule.steps.flatMap(({ from }, step) =>
      from.map((each, at): [string, string] => [`steps[${step}].from[${at}]`, each]),
    ),
    ...rule.escalate.flatMap(({ to }, step) =>
      to.map((each, at): [string, string] => [`escalate[${step}].to[${at}]`, each]),
    ),
    ...rule.exclude.map((each, at): [string, string] => [`exclude[${at}]`, each]),
    ...(rule.accept ?? []).map((each, at): [string, string] => [`accept[${at}]`, each]),
  ];
  const unseen = (rule.accept ?? []).flatMap((each, at) => {
    const channel = objects.get(`Channel/${each.replace(/^channel:/, '')}`);
    if (channel?.kind !== 'Channel' || !each.startsWith('channel:')) return [];
    if (channel.ciba)
      return [
        problem(
          `accept[${at}]`,
          `"${channel.name}" is CIBA, which shows nothing of the action: it reminds, and no yes is given there.`,
        ),
      ];
    return channel.show === 'arguments'
      ? []
      : [
          problem(
            `accept[${at}]`,
            `"${channel.name}" does not show the arguments: who says yes there has not seen the action. Give it \`show: arguments\`.`,
          ),
        ];
  });
  const unknown = named.flatMap(([path, source]) => {
    const cut = source.indexOf(':');
    const kind = kindNamedBy[source.slice(0, Math.max(cut, 0))];
    const name = source.slice(cut + 1);
    return kind === undefined || objects.has(`${kind}/${name}`) ? [] : [problem(path, missing(kind, name))];
  });
  return [...unknown, ...unseen];
}

function patternProblems(
  objects: Workspace['objects'],
  patterns: string[],
  index: number,
  problem: ReturnType<typeof problemOf>,
): ManifestProblem[] {
  return patterns.flatMap((pattern, at) => {
    const message = patternProblem(objects, pattern);
    return message ? [problem(`allow[${index}].tools[${at}]`, message)] : [];
  });
}

/** What it looks at in the tools' arguments is checked where their definitions are known. Agents may be named before they are registered. */
function checkBudget(objects: Workspace['objects'], budget: BudgetManifest): ManifestProblem[] {
  const problem = problemOf(budget);
  const unknown = (kind: 'Template' | 'Environment', path: string, names: string[] | undefined) =>
    (names ?? []).flatMap((name, at) =>
      objects.has(`${kind}/${name}`) ? [] : [problem(`${path}[${at}]`, missing(kind, name))],
    );
  return [
    ...(budget.tools ?? []).flatMap((pattern, at) => {
      const message = patternProblem(objects, pattern);
      return message ? [problem(`tools[${at}]`, message)] : [];
    }),
    ...unknown('Template', 'templates', budget.templates),
    ...unknown('Environment', 'environments', budget.environments),
  ];
}

function checkClient(client: ClientManifest): ManifestProblem[] {
  const problem = problemOf(client);
  const problems = client.redirectUris.flatMap((uri, at) => {
    const wrong = redirectProblem(new URL(uri));
    return wrong ? [problem(`redirectUris[${at}]`, wrong)] : [];
  });
  if (client.name === COMMAND_LINE_CLIENT)
    problems.push(problem('name', 'This name is that of the command line tool. Choose another.'));
  for (const [at, key] of client.keys.entries()) {
    const wrong = keyProblem(key);
    if (wrong) problems.push(problem(`keys[${at}]`, `The key is refused: ${wrong}.`));
  }
  return problems;
}

/** RFC 9700 section 2.1 and RFC 8252 section 7: https, loopback over http, or a scheme that an application owns. */
function redirectProblem(uri: URL): string | undefined {
  if (uri.hash || uri.username || uri.password) return 'A redirect address has no fragment and no user in it.';
  if (uri.protocol === 'https:') return undefined;
  if (uri.protocol === 'http:')
    return ['localhost', '127.0.0.1', '[::1]'].includes(uri.hostname)
      ? undefined
      : 'http: is for loopback addresses only. Give an https: address.';
  return uri.protocol.includes('.')
    ? undefined
    : `"${uri.protocol}" is not a scheme that one application owns: use one with a dot in it (com.example.app:).`;
}

function checkTransport(manifest: ToolServerManifest): ManifestProblem[] {
  if (manifest.transport.type !== 'http') return [];
  const problem = problemOf(manifest);
  const url = new URL(manifest.transport.url);
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    return [problem('transport.url', `"${url.protocol}" is not spoken here: give an https: (or http:) address.`)];
  if (url.username || url.password)
    return [problem('transport.url', 'The address holds a user name or password: take it out, addresses are shown.')];
  return [];
}

function checkToolNames(manifest: ToolServerManifest): ManifestProblem[] {
  const seen = new Map<string, string>();
  return Object.keys(manifest.tools).flatMap((tool) => {
    const other = seen.get(skeleton(tool));
    seen.set(skeleton(tool), tool);
    return other === undefined
      ? []
      : [
          problemOf(manifest)(
            `tools.${tool}`,
            `"${tool}" looks like "${other}": a person could take one for the other. Name one of them.`,
          ),
        ];
  });
}

function checkTemplate(objects: Workspace['objects'], template: TemplateManifest): ManifestProblem[] {
  const problem = problemOf(template);
  return template.allow.flatMap((entry, index) => [
    ...patternProblems(objects, entry.tools ?? [], index, problem),
    ...Object.entries(entry.when ?? {}).flatMap(([argument, value]) => {
      if (typeof value !== 'string' || !value.startsWith('$')) return [];
      return Object.hasOwn(template.parameters, value.slice(1))
        ? []
        : [
            problem(
              `allow[${index}].when.${argument}`,
              `The template has no parameter "${value.slice(1)}": declare it under \`parameters\`, or correct the name.`,
            ),
          ];
    }),
  ]);
}

function patternProblem(objects: Workspace['objects'], pattern: string): string | undefined {
  if (pattern === '*') return undefined;
  const [, server = '', separator, rest = ''] = /^([^/#]+)([/#])(.*)$/.exec(pattern) ?? [];
  const manifest = objects.get(`ToolServer/${server}`);
  if (manifest?.kind !== 'ToolServer') return `"${pattern}": ${missing('ToolServer', server)}`;
  if (separator === '#') {
    return manifest[rest as 'resources' | 'prompts']
      ? undefined
      : `"${pattern}": the manifest of ${server} grants no ${rest}. Give them a tier there: \`${rest}: {tier: 1}\`.`;
  }
  if (rest === '*' || Object.hasOwn(manifest.tools, rest)) return undefined;
  const named = Object.keys(manifest.tools).slice(0, 20).join(', ') || 'none';
  return `"${pattern}": the manifest of ${server} does not name this tool, so it is prohibited. It names: ${named}.`;
}

/** What a retired agent once referred to may be gone. */
function checkAgent({ objects }: Workspace, agent: AgentManifest): ManifestProblem[] {
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
function checkOutsiders({ objects, agents, environmentOf }: Workspace): ManifestProblem[] {
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
function checkMoved({ objects, agents, environmentOf }: Workspace): ManifestProblem[] {
  const applied = new Map(agents.map(({ name, environment }) => [name, environment]));
  return [...objects.values()]
    .filter((manifest) => manifest.kind === 'Workload')
    .flatMap((workload) =>
      startsProblems(workload, { environmentOf: (agent) => applied.get(agent) ?? environmentOf(agent) }).map(
        ([path, message]) => problemOf(workload)(path, message),
      ),
    );
}

function checkNames({ objects, agents, created, lookAlikeAgent }: Workspace): ManifestProblem[] {
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

function checkKeys({ agents, keyHolder }: Workspace): ManifestProblem[] {
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

function missing(kind: string, name: string): string {
  return `There is no ${kind} "${name}". Add its manifest to this apply, or correct the name.`;
}

function missingEnvironments(
  objects: ReadonlyMap<string, Manifest>,
  manifest: Extract<Manifest, { environments?: string[] | undefined }>,
): ManifestProblem[] {
  return (manifest.environments ?? []).flatMap((environment, at) =>
    objects.has(`Environment/${environment}`)
      ? []
      : [problemOf(manifest)(`environments[${at}]`, missing('Environment', environment))],
  );
}

export function problemOf(manifest: Manifest): (path: string, message: string) => ManifestProblem {
  return (path, message) => ({ kind: manifest.kind, name: nameOf(manifest), path, message });
}

const SHOWN = 10;

/** One error for all that is wrong, so that it can be put right in one go. `extra.problems` has them one by one. */
export function invalidManifests(problems: ManifestProblem[]): GatehouseError {
  const shown = problems.slice(0, SHOWN).map(({ kind, name, path, message }) => {
    const where = [kind, name].filter(Boolean).join(' ');
    return `${where}${path ? `, ${path}` : ''}: ${message}`;
  });
  if (problems.length > SHOWN) shown.push(`… and ${problems.length - SHOWN} more.`);
  return new GatehouseError('bad-request', 'manifest.invalid', `Nothing was changed. ${shown.join('\n')}`, {
    extra: { problems: problems.slice(0, 200) },
  });
}
