import type { AgentManifest, ApprovalRuleManifest } from '@gatehouse/protocol';
import { isTimeZone } from '../platform/index.ts';
import { checkAgent, checkKeys, checkMoved, checkNames, checkOutsiders } from './check-agents.ts';
import { checkClient } from './check-client.ts';
import { checkDelegatesTo, checkGroup, checkOnCall } from './check-people.ts';
import { checkRetention } from './check-retention.ts';
import { checkSink } from './check-sink.ts';
import {
  checkBudget,
  checkCredential,
  checkProvider,
  checkTemplate,
  checkToolNames,
  checkTransport,
} from './check-tools.ts';
import { type ManifestProblem, missing, missingEnvironments, problemOf } from './manifest-problem.ts';
import type { ObjectManifest } from './objects.ts';

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
    case 'CredentialProvider':
      return [...missingEnvironments(objects, manifest), ...checkProvider(manifest)];
    case 'Retention':
      return checkRetention(objects, manifest).map(({ path, message }) => problem(path, message));
    case 'Sink':
      return checkSink(objects, manifest).map(({ path, message }) => problem(path, message));
    case 'ToolServer':
      return [
        ...missingEnvironments(objects, manifest),
        ...checkTransport(manifest),
        ...checkCredential(objects, manifest),
        ...checkToolNames(manifest),
      ];
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
    if (channel.ciba?.counts) return [];
    if (channel.push)
      return [
        problem(`accept[${at}]`, `"${channel.name}" sends notifications, which take no answer: they lead to the page.`),
      ];
    if (channel.ciba)
      return [
        problem(
          `accept[${at}]`,
          `"${channel.name}" is CIBA that only reminds: its device shows nothing of the action. Give it \`counts: true\`, so that who has looked at the page confirms there.`,
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
