import type { Allowed } from '@gatehouse/protocol';
import { isWider } from '../../../policy/index.ts';
import { isSame } from './same.ts';

/** Each entry has to be at least as narrow as one that was there, and what came with one beyond its conditions has to stay. */
export function relaxedAllow(before: readonly Allowed[], after: readonly Allowed[]): string[] {
  const why: string[] = [];
  for (const entry of after) {
    if (before.some((old) => covers(old, entry))) continue;
    const { tools, effects, grantable } = entry;
    const what = tools ? tools.join(', ') : `tools that ${effects?.join(', ')}`;
    const onlyGrants = before.some((old) => covers(old, { ...entry, grantable: undefined }));
    why.push(
      onlyGrants && grantable
        ? `standing grants may cover ${grantable.calls} calls of ${what} within ${grantable.seconds} s`
        : `it newly allows ${what}`,
    );
  }
  for (const old of before)
    if (Object.keys(beyond(old)).length > 0 && !after.some((entry) => isSame(entry, old)))
      why.push('an entry that came with an obligation is gone or changed');
  return why;
}

function beyond(entry: Allowed): Record<string, unknown> {
  const { tools: _tools, effects: _effects, domains: _domains, when: _when, grantable: _grantable, ...rest } = entry;
  return rest;
}

function covers(old: Allowed, entry: Allowed): boolean {
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
    !isWider(entry.grantable, old.grantable) &&
    isSame(beyond(old), beyond(entry))
  );
}
