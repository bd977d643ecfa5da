import { RETENTION_MINIMUM_DAYS, type RetentionManifest } from '@gatehouse/protocol';
import type { ObjectManifest } from './objects.ts';

/** What a class of retention says has to be said whole, or it would keep less than whoever wrote it meant. */
export function checkRetention(
  objects: ReadonlyMap<string, ObjectManifest>,
  { of, arguments: args, records, belowMinimum }: RetentionManifest,
): { path: string; message: string }[] {
  const isBelow = typeof records === 'number' && records < RETENTION_MINIMUM_DAYS;
  const problems: { path: string; message: string }[] = [];
  if (args === undefined && records === undefined)
    problems.push({ path: '', message: 'Say how long: `arguments`, `records`, or both.' });
  if (of.kinds?.includes('change') && of.operations === undefined)
    problems.push({ path: 'of.operations', message: 'Name the operations of changes: `task.*`, `token.issue`.' });
  if (isBelow && belowMinimum === undefined)
    problems.push({
      path: 'records',
      message: `Records are kept for ${RETENTION_MINIMUM_DAYS} days at least. Say in \`belowMinimum\` why fewer are enough; two people have to stand behind it.`,
    });
  if (!isBelow && belowMinimum !== undefined)
    problems.push({ path: 'belowMinimum', message: `It keeps records for ${RETENTION_MINIMUM_DAYS} days or more.` });
  of.environments?.forEach((environment, at) => {
    if (!objects.has(`Environment/${environment}`))
      problems.push({
        path: `of.environments[${at}]`,
        message: `There is no Environment "${environment}". Declare it, or correct the name.`,
      });
  });
  return problems;
}
