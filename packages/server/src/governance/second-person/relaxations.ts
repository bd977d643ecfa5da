import {
  type BlueprintManifest,
  baseline,
  type ControlPolicyManifest,
  type EnvironmentManifest,
  type GroupManifest,
  type IdentityProviderManifest,
  type Manifest,
  type PolicyManifest,
  type Relaxation,
  type Role,
  type RoleMappingManifest,
  type TemplateManifest,
  type WorkloadManifest,
} from '@gatehouse/protocol';
import { relaxedPolicies } from '../../policy/index.ts';
import type { Step } from '../../registry/index.ts';
import { relaxedBudget } from './budgets.ts';
import { isSame, membersThatDiffer } from './same.ts';
import { relaxedToolServer } from './tool-servers.ts';

type OfKind<Kind> = Extract<Manifest, { kind: Kind }>;
type Change<M> = { before: M | undefined; after: M | undefined };

/**
 * What a change could newly let through, found from the manifests alone and on the safe side: what is not plainly narrower counts as wider.
 * Empty: it only tightens, or is about something else.
 */
export function relaxationsOf(steps: readonly Pick<Step, 'change' | 'before' | 'after'>[]): Relaxation[] {
  const found: Relaxation[] = [];
  const written = { before: [] as PolicyManifest[], after: [] as PolicyManifest[] };
  const control = { before: [] as PolicyManifest[], after: [] as PolicyManifest[] };
  for (const { change, before, after } of steps) {
    const { kind, name } = change;
    if (kind === 'Policy' || kind === 'ControlPolicy') {
      const sides = kind === 'Policy' ? written : control;
      if (before) sides.before.push(asPolicy(before));
      if (after) sides.after.push(asPolicy(after));
      continue;
    }
    const judge = judges[kind as keyof typeof judges] as ((change: Change<Manifest>) => string[]) | undefined;
    for (const why of judge?.({ before: before ?? undefined, after: after ?? undefined }) ?? [])
      found.push({ kind, name, why });
  }
  // All of them at once: a policy that moves from one manifest to another is the same policy.
  for (const { name, why } of relaxedPolicies(written.before, written.after)) found.push({ kind: 'Policy', name, why });
  for (const { name, why } of relaxedPolicies(control.before, control.after))
    found.push({ kind: 'ControlPolicy', name, why });
  return found;
}

const asPolicy = (manifest: Manifest): PolicyManifest =>
  manifest.kind === 'Policy'
    ? manifest
    : {
        kind: 'Policy',
        name: (manifest as ControlPolicyManifest).name,
        cedar: (manifest as ControlPolicyManifest).cedar,
      };

const risks = ['low', 'medium', 'high'];

/** Kinds that are not here let nothing through that a policy would stop. */
const judges: { [Kind in Manifest['kind']]?: (change: Change<OfKind<Kind>>) => string[] } = {
  Template: relaxedTemplate,
  Group: relaxedGroup,
  ToolServer: ({ before, after }) => relaxedToolServer(before, after),
  Blueprint: relaxedBlueprint,
  Environment: relaxedEnvironment,
  Person: ({ before, after }) => moreDeciders(before?.roles, after?.roles),
  RoleMapping: relaxedRoleMapping,
  IdentityProvider: relaxedIdentityProvider,
  Workload: relaxedWorkload,
  Agent({ before, after }) {
    if (!before || !after) return [];
    const why: string[] = [];
    if (before.blueprint !== after.blueprint) why.push(`its blueprint becomes ${after.blueprint}`);
    if (before.environment !== after.environment) why.push(`its environment becomes ${after.environment}`);
    if (!isNarrower(before.delegatesTo, after.delegatesTo)) why.push('it may hand tasks on to more agents');
    if (risks.indexOf(after.risk) < risks.indexOf(before.risk)) why.push(`its risk becomes ${after.risk}`);
    return why;
  },
  Budget: ({ before, after }) => relaxedBudget(before, after),
  TicketSystem: ({ before, after }) =>
    after && !isSame(before, after) ? ['who says what state a ticket is in is changed'] : [],
  Detector: ({ before, after }) => (before && !isSame(before, after) ? ['what looks at results is changed'] : []),
  Calendar: ({ before, after }) => (isSame(before, after) ? [] : ['when a calendar is open is changed']),
};

function relaxedTemplate({ before, after }: Change<TemplateManifest>): string[] {
  if (!after) return [];
  const why = relaxedAllow(before?.allow ?? [], after.allow);
  if (!before) return why;
  if (after.ttlSeconds > before.ttlSeconds)
    why.push(`tasks may last ${after.ttlSeconds} s instead of ${before.ttlSeconds} s`);
  for (const [name, parameter] of Object.entries(after.parameters)) {
    const old = before.parameters[name];
    if (old && !isSame({ ...old, description: '' }, { ...parameter, description: '' }))
      why.push(`the parameter "${name}" is changed`);
  }
  const known = ['kind', 'name', 'description', 'allow', 'ttlSeconds', 'parameters'];
  for (const member of membersThatDiffer(before, after))
    if (!known.includes(member)) why.push(`"${member}" is changed`);
  return why;
}

function relaxedGroup({ before, after }: Change<GroupManifest>): string[] {
  if (!after) return [];
  const why = relaxedAllow(before?.allow ?? [], after.allow);
  const were = new Set(before?.members);
  const added = after.members.filter((member) => !were.has(member));
  // Also where it allows nothing itself: written policies name groups.
  if (added.length > 0)
    why.push(`${added.length === 1 ? `${added[0]} becomes a member` : `${added.length} people become members`}`);
  if (after.directoryGroup !== undefined && after.directoryGroup !== before?.directoryGroup)
    why.push(`members of the directory's group "${after.directoryGroup}" belong to it`);
  return why;
}

type Allow = TemplateManifest['allow'][number];

/** Each entry has to be at least as narrow as one that was there, and what came with one beyond its conditions has to stay. */
function relaxedAllow(before: readonly Allow[], after: readonly Allow[]): string[] {
  const why: string[] = [];
  for (const entry of after) {
    if (before.some((old) => covers(old, entry))) continue;
    const { tools, effects } = entry;
    why.push(`it newly allows ${tools ? tools.join(', ') : `tools that ${effects?.join(', ')}`}`);
  }
  for (const old of before)
    if (Object.keys(beyond(old)).length > 0 && !after.some((entry) => isSame(entry, old)))
      why.push('an entry that came with an obligation is gone or changed');
  return why;
}

function beyond(entry: Allow): Record<string, unknown> {
  const { tools: _tools, effects: _effects, domains: _domains, when: _when, ...rest } = entry;
  return rest;
}

function covers(old: Allow, entry: Allow): boolean {
  const within = (wide: readonly string[] | undefined, narrow: readonly string[] | undefined) =>
    wide === undefined || (narrow?.every((each) => wide.includes(each)) ?? false);
  const sameSort = (old.tools === undefined) === (entry.tools === undefined);
  const conditions = Object.entries(old.when ?? {}).every(([name, value]) => entry.when?.[name] === value);
  return (
    sameSort &&
    (old.tools?.includes('*') || within(old.tools, entry.tools)) &&
    within(old.effects, entry.effects) &&
    within(old.domains, entry.domains) &&
    conditions &&
    isSame(beyond(old), beyond(entry))
  );
}

function relaxedBlueprint({ before, after }: Change<BlueprintManifest>): string[] {
  if (!after) return [];
  const added = after.templates.filter((name) => !before?.templates.includes(name));
  const why = added.length > 0 ? [`its agents may start tasks under ${added.join(', ')}`] : [];
  if (!isNarrower(before?.delegatesTo, after.delegatesTo)) why.push('its agents may hand tasks on to more agents');
  return why;
}

function isNarrower(before: BlueprintManifest['delegatesTo'], after: BlueprintManifest['delegatesTo']): boolean {
  return (
    (after?.agents ?? []).every((name) => before?.agents.includes(name)) &&
    (after?.blueprints ?? []).every((name) => before?.blueprints.includes(name))
  );
}

function relaxedEnvironment({ before, after }: Change<EnvironmentManifest>): string[] {
  if (!before) return [];
  // Otherwise it goes in one change, and comes back in the next as one that asks nobody.
  if (!after) return wantsSecondPerson(before) ? ['its changes need no second person any more'] : [];
  const why: string[] = [];
  if (before.production && !after.production) why.push('it is no production environment any more');
  if (wantsSecondPerson(before) && !wantsSecondPerson(after)) why.push('its changes need no second person any more');
  const off = (after.flowRulesOff ?? []).filter((rule) => !before.flowRulesOff?.includes(rule));
  if (off.length > 0) why.push(`built-in rules of information flow are switched off: ${off.join(', ')}`);
  const unwatched = (after.baseline?.rulesOff ?? []).filter((rule) => !before.baseline?.rulesOff.includes(rule));
  if (unwatched.length > 0) why.push(`built-in rules on unusual calls are switched off: ${unwatched.join(', ')}`);
  if (isLaxerBaseline(before.baseline, after.baseline)) why.push('when what is usual counts as known is changed');
  const shown = (before.mask ?? []).filter((kind) => !after.mask?.includes(kind));
  if (shown.length > 0) why.push(`results are not masked any more: ${shown.join(', ')}`);
  if (!isSame(before.breaker, after.breaker)) why.push('when tasks and agents are suspended is changed');
  return why;
}

/** More to be learned first keeps agents unwatched for longer; in another zone other hours are usual. Less teaches less, and so stops more. */
function isLaxerBaseline(before: EnvironmentManifest['baseline'], after: EnvironmentManifest['baseline']): boolean {
  const [was, is] = [before ?? baseline.parse({}), after ?? baseline.parse({})];
  return is.days > was.days || is.calls > was.calls || is.zone !== was.zone;
}

/** Whether relaxing changes that concern this environment wait for a second person. */
export const wantsSecondPerson = ({ production, policyChanges }: EnvironmentManifest): boolean =>
  (policyChanges ?? (production ? 'second-person' : 'direct')) === 'second-person';

/** Roles that decide about proposals: who could make somebody up would need nobody else. */
export const decidingRoles: readonly Role[] = ['admin', 'security'];

function relaxedRoleMapping({ before, after }: Change<RoleMappingManifest>): string[] {
  if (!after) return [];
  return moreDeciders(before?.group === after.group ? before.roles : [], after.roles);
}

/** Who says who people are could say that it is somebody who ships such changes, and enrol a passkey for them. */
function relaxedIdentityProvider({ before, after }: Change<IdentityProviderManifest>): string[] {
  if (!after) return [];
  if (!before) return ['a new provider says who people are'];
  const why = Object.entries(after.roles).flatMap(([group, roles]) =>
    moreDeciders(Object.hasOwn(before.roles, group) ? before.roles[group] : [], roles),
  );
  const others = membersThatDiffer(before, after).filter((member) => !['displayName', 'roles'].includes(member));
  return others.length > 0 ? [...why, `who says who people are is changed: ${others.join(', ')}`] : why;
}

/** A gateway is believed what it asks about, and a workload the intent of the tasks that it starts. */
function relaxedWorkload({ before, after }: Change<WorkloadManifest>): string[] {
  if (!after) return [];
  const why: string[] = [];
  const started = after.starts.filter((agent) => !before?.starts.includes(agent));
  if (started.length > 0) why.push(`it may vouch for the tasks of ${started.join(', ')}`);
  if (after.gateway && !isSame(before?.gateway, after.gateway)) why.push('what it asks about as a gateway is changed');
  return why;
}

function moreDeciders(before: readonly Role[] | undefined, after: readonly Role[] | undefined): string[] {
  const added = decidingRoles.filter((role) => after?.includes(role) && !before?.includes(role));
  return added.length > 0 ? [`gives the role ${added.join(' and ')}, which ships such changes`] : [];
}
