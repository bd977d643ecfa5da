import type { DatabaseTransaction } from '../storage/index.ts';
import { type ChangeSet, type Context, lines } from './context.ts';
import { keepVersion } from './policy-versions.ts';
import type { Snapshot } from './types.ts';

/**
 * Policies are made from servers, definitions, templates and policies; agents come and go without. What they are made of after the change
 * is kept as a version. Gives the workspace as it will be; undefined where nothing was announced that concerns it.
 */
export async function validateWithin(
  context: Context,
  transaction: DatabaseTransaction,
  changes: ChangeSet,
): Promise<Snapshot | undefined> {
  if (!context.validate) return undefined;
  const announced = [...changes.announcements.values()];
  if (!announced.some(({ topic }) => topic === 'object' || topic === 'definition' || topic === 'policy'))
    return undefined;
  const candidate = await context.keeper.candidate(transaction, announced);
  const compiled = context.validate(candidate);
  if (!compiled) return candidate;
  const by = changes.records[0]?.by ?? 'gatehouse';
  const number = await keepVersion(transaction, {
    policyVersion: compiled.version,
    keys: announced.filter(({ topic }) => topic === 'object').map(({ key }) => key),
    by,
    at: context.clock.now(),
    changes: lines(changes.records.flatMap((record) => record.changes)),
    version: changes.version,
  });
  if (number === null) return candidate;
  const { note, approvedBy, proposal, rollbackTo } = changes.version ?? {};
  await context.recordChange(transaction, {
    operation: 'policy.version',
    by,
    changes: [
      `version ${number} of the policies, ${compiled.version}`,
      ...(proposal === undefined ? [] : [`proposal ${proposal}`]),
      ...(approvedBy === undefined ? [] : [`shipped by ${approvedBy}`]),
      ...(rollbackTo === undefined ? [] : [`goes back to version ${rollbackTo}`]),
    ],
    ...(note && { detail: note }),
  });
  return candidate;
}
