import type { Snapshot } from './types.ts';

const byMember = new WeakMap<Snapshot['groups'], Map<string, string[]>>();

/** Names of the groups that a person is in. Turned round once per version of the groups. */
export function groupsOf({ groups }: Pick<Snapshot, 'groups'>, email: string): readonly string[] {
  let index = byMember.get(groups);
  if (!index) {
    index = new Map();
    for (const { name, members } of groups.values())
      for (const member of new Set(members)) index.set(member, [...(index.get(member) ?? []), name]);
    byMember.set(groups, index);
  }
  return index.get(email) ?? [];
}
