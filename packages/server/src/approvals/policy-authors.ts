import type { DatabaseTransaction } from '../storage/index.ts';
import type { ApprovalRequest } from './types.ts';

/** Who wrote and who shipped what decided: the version in force, and the policies and rules by which it was decided, as they are in it. */
export async function policyAuthorsOf(
  transaction: DatabaseTransaction,
  { subject, decision }: Pick<ApprovalRequest, 'subject' | 'decision'>,
): Promise<string[]> {
  if (!subject.rules?.some(({ exclude }) => exclude.includes('policy-author'))) return [];
  const newest = await transaction
    .selectFrom('policy_versions')
    .select('number')
    .where('policy_version', '=', subject.policyVersion)
    .orderBy('number', 'desc')
    .executeTakeFirst();
  if (!newest) return [];
  const objects = [
    ...decision.policies.map(objectOf),
    ...subject.rules.map(({ name }) => ({ kind: 'ApprovalRule', name })),
  ];
  const made = await transaction
    .selectFrom('policy_objects')
    .select('from_version')
    .where('from_version', '<=', newest.number)
    .where(({ or, eb }) => or([eb('to_version', 'is', null), eb('to_version', '>', newest.number)]))
    .where(({ or, and, eb }) =>
      or(objects.map(({ kind, name }) => and([eb('kind', '=', kind), eb('name', '=', name)]))),
    )
    .execute();
  const numbers = [...new Set([newest.number, ...made.map(({ from_version }) => from_version)])];
  const versions = await transaction
    .selectFrom('policy_versions')
    .select(['by', 'approved_by'])
    .where('number', 'in', numbers)
    .execute();
  const all = versions.flatMap(({ by, approved_by }) => [by, approved_by ?? '']);
  return [...new Set(all.filter((by) => by.startsWith('person:')).map((by) => by.slice('person:'.length)))].sort();
}

/** Where a policy of this id stands: `payments#0` in a file, `template:refund[0]:shop/refund` in what a template or a group allows. */
function objectOf(id: string): { kind: string; name: string } {
  const [, kind, name] = /^(template|group):([^[]+)\[/.exec(id) ?? [];
  if (kind !== undefined && name !== undefined) return { kind: kind === 'group' ? 'Group' : 'Template', name };
  return { kind: 'Policy', name: id.split('#')[0] as string };
}
