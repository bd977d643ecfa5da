import type { GroupManifest, OnCallManifest } from '@gatehouse/protocol';
import { isTimeZone } from '../platform/index.ts';
import { patternProblems } from './check-tools.ts';
import type { Workspace } from './check-workspace.ts';
import { type ManifestProblem, missing, problemOf } from './manifest-problem.ts';

/** Agents may be named before they are registered: until then nobody has the name. */
export function checkDelegatesTo(
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

export function checkGroup(objects: Workspace['objects'], group: GroupManifest): ManifestProblem[] {
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

export function checkOnCall(objects: Workspace['objects'], rota: OnCallManifest): ManifestProblem[] {
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
