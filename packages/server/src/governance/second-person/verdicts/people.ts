import type { Role } from '@gatehouse/protocol';
import { decidingRoles } from '../../../registry/index.ts';
import { relaxedAllow } from './allow.ts';
import { type Around, isNamed, moreOf, type OfKind, type Verdict } from './verdict.ts';

/** They approve actions, of any agent or of those that they own: who could make somebody up would need nobody else. */
const approvingRoles: readonly Role[] = ['approver', 'owner', 'developer'];

function gained(before: readonly Role[] | undefined, after: readonly Role[] | undefined): string[] {
  const has = (roles: readonly Role[]) => roles.filter((role) => after?.includes(role) && !before?.includes(role));
  const [ships, approves] = [has(decidingRoles), has(approvingRoles)];
  return [
    ...(ships.length > 0 ? [`gives the role ${ships.join(' and ')}, which ships such changes`] : []),
    ...(approves.length > 0 ? [`gives the role ${approves.join(' and ')}, which approves actions`] : []),
  ];
}

/** Who takes it from the others is the only one left to say yes. Who leaves is offboarded, which waits for nobody. */
function lost(before: readonly Role[] | undefined, after: readonly Role[] | undefined): string[] {
  const gone = decidingRoles.filter((role) => before?.includes(role) && !after?.includes(role));
  return gone.length > 0 ? [`takes the role ${gone.join(' and ')} from somebody who ships such changes`] : [];
}

const changed = (before: readonly Role[] | undefined, after: readonly Role[] | undefined) => [
  ...gained(before, after),
  ...lost(before, after),
];

export const person: Verdict<OfKind<'Person'>> = {
  created: ({ roles, successor }) => [
    ...gained([], roles),
    ...(successor ? [`their agents would go to ${successor}`] : []),
  ],
  gone: ({ roles }) => lost(roles, []),
  members: {
    displayName: 'words',
    // Whom something is told changes nothing of who decides.
    quietHours: 'words',
    roles(before, after, around) {
      const why = changed(before.roles, after.roles);
      return why.length === 0 && isNamed(around, /role/i) ? ['roles that a policy looks at are changed'] : why;
    },
    successor: (_, { successor }) => (successor ? [`their agents would go to ${successor}`] : []),
  },
};

export const roleMapping: Verdict<OfKind<'RoleMapping'>> = {
  created: ({ roles }) => gained([], roles),
  gone: ({ roles }) => lost(roles, []),
  members: {
    description: 'words',
    group: (before, after) => [...gained([], after.roles), ...lost(before.roles, [])].slice(0, 1),
    roles: (before, after) => changed(before.roles, after.roles),
  },
};

/** Who says who people are could say that it is somebody who ships such changes, and enrol a passkey for them. */
export const identityProvider: Verdict<OfKind<'IdentityProvider'>> = {
  created: () => ['a new provider says who people are'],
  gone: ({ roles }) =>
    Object.values(roles)
      .flatMap((each) => lost(each, []))
      .slice(0, 1),
  members: {
    displayName: 'words',
    roles: (before, after) => [
      ...new Set(
        [...new Set([...Object.keys(before.roles), ...Object.keys(after.roles)])].flatMap((group) => {
          const of = (roles: typeof before.roles) => (Object.hasOwn(roles, group) ? roles[group] : []);
          return changed(of(before.roles), of(after.roles));
        }),
      ),
    ],
    issuer: 'decides',
    clientId: 'decides',
    clientAuthentication: 'decides',
    secret: 'decides',
    scopes: 'decides',
    emailClaim: 'decides',
    emailTrusted: 'decides',
    domains: 'decides',
    groupsClaim: 'decides',
    provision: 'decides',
    signInAgainHours: ({ signInAgainHours: before }, { signInAgainHours: after }) =>
      after > before ? [`its people sign in again after ${after} h instead of ${before} h`] : [],
    enrolsPasskeys: (_, { enrolsPasskeys }) => (enrolsPasskeys ? ['its people enrol a passkey without a link'] : []),
    allowPrivateAddress: 'decides',
    ca: 'decides',
    tokenExchange: 'decides',
    idJag: 'decides',
  },
};

type Group = OfKind<'Group'>;

/** A policy may forbid its members something, or make an exception but for them. */
const leaving = (who: string, around: Around) =>
  isNamed(around, /group/i) ? [`${who}, and a policy names groups`] : [];

export const group: Verdict<Group> = {
  created: ({ allow, members, directoryGroup }) => [
    ...relaxedAllow([], allow),
    ...joining([], members),
    ...(directoryGroup === undefined ? [] : [`members of the directory's group "${directoryGroup}" belong to it`]),
  ],
  gone: ({ allow }, around) => [...relaxedAllow(allow, []), ...leaving('its members are in it no more', around)],
  members: {
    description: 'words',
    allow: (before, after) => relaxedAllow(before.allow, after.allow),
    // Also where it allows nothing itself: written policies name groups.
    members: (before, after, around) => [
      ...joining(before.members, after.members),
      ...moreOf(after.members, before.members, (gone) => gone).flatMap((gone) => leaving(`${gone} leave it`, around)),
    ],
    directoryGroup: (before, after, around) => [
      ...(after.directoryGroup === undefined
        ? []
        : [`members of the directory's group "${after.directoryGroup}" belong to it`]),
      ...(before.directoryGroup === undefined
        ? []
        : leaving(`members of the directory's group "${before.directoryGroup}" leave it`, around)),
    ],
  },
};

function joining(before: Group['members'], after: Group['members']): string[] {
  const added = after.filter((member) => !before.includes(member));
  if (added.length === 0) return [];
  return [`${added.length === 1 ? `${added[0]} becomes a member` : `${added.length} people become members`}`];
}
