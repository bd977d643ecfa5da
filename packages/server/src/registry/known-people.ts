import type { GroupManifest, PersonManifest, RoleMappingManifest } from '@gatehouse/protocol';
import type { PersonStanding } from './objects.ts';
import type { KnownPerson } from './types.ts';

/** As stored: the manifest, and the person's standing where it is not plainly "declared". */
export interface StoredPerson {
  manifest: PersonManifest;
  person?: PersonStanding;
}

/**
 * What the stored rows come to. A manifest decides about those whom it declares: groups give them no role, and a directory can only
 * end what they have, never add to it. Who is only provisioned has the roles that mappings give to their groups.
 */
export function knownPerson(stored: StoredPerson, mappings: Iterable<RoleMappingManifest>): KnownPerson {
  const { manifest, person } = stored;
  const { provision = null, departed = null, declared = true } = person ?? {};
  const groups = provision?.groups ?? [];
  // What a provider calls a group is worth what its own manifest says, not what the directory's group of that name is.
  const mapped =
    declared || provision?.by !== 'scim' ? [] : [...mappings].filter(({ group }) => groups.includes(group));
  const roles = declared
    ? manifest.roles
    : [...new Set([...(provision?.roles ?? []), ...mapped.flatMap((mapping) => mapping.roles)])];
  return {
    email: manifest.email,
    displayName: manifest.displayName,
    roles: departed ? [] : roles,
    groups,
    source: declared ? 'manifest' : (provision?.by ?? 'manifest'),
    provisioned: provision !== null,
    successor: manifest.successor ?? provision?.successor ?? null,
    ...(manifest.quietHours && { quietHours: manifest.quietHours }),
    departed,
  };
}

/** Those who are here, in the shape in which most of the house looks at people. */
export function presentPeople(directory: ReadonlyMap<string, KnownPerson>): Map<string, PersonManifest> {
  const present = new Map<string, PersonManifest>();
  for (const { email, displayName, roles, successor, quietHours, departed } of directory.values()) {
    if (departed) continue;
    present.set(email, {
      kind: 'Person',
      email,
      displayName,
      roles,
      ...(successor !== null && { successor }),
      ...(quietHours && { quietHours }),
    });
  }
  return present;
}

/** Groups with the members that the directory adds. Who has left is in none. */
export function effectiveGroups(
  declared: ReadonlyMap<string, GroupManifest>,
  directory: ReadonlyMap<string, KnownPerson>,
): Map<string, GroupManifest> {
  const byDirectoryGroup = new Map<string, string[]>();
  for (const { email, groups, source, departed } of directory.values())
    if (!departed && !source.startsWith('oidc/'))
      for (const group of groups) byDirectoryGroup.set(group, [...(byDirectoryGroup.get(group) ?? []), email]);
  return new Map(
    [...declared].map(([name, group]) => {
      const added = group.directoryGroup === undefined ? [] : (byDirectoryGroup.get(group.directoryGroup) ?? []);
      const members = group.members.filter((member) => !directory.get(member)?.departed);
      return [name, { ...group, members: [...new Set([...members, ...added])] }];
    }),
  );
}
