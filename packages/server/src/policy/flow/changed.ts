import { type Clock, type Log, newId } from '../../platform/index.ts';
import type { RegisteredTool, Snapshot } from '../../registry/index.ts';
import type { AdministrativeChange, DatabaseTransaction, RecordChange } from '../../storage/index.ts';
import type { Kept, LabelRow } from './heads.ts';
import { agentOfHolder, taskOfHolder } from './held.ts';
import { CHANGED, SEVERAL, WROTE } from './marks.ts';
import { mostCareful } from './parts.ts';
import { SENSITIVE, UNTRUSTED } from './result-labels.ts';

/** Every kind of sensitive data that a result could bring. */
export function sensitiveKinds({ servers, detectors }: Pick<Snapshot, 'servers' | 'detectors'>): string[] {
  const ofTool = ({ labels }: RegisteredTool) => mostCareful(labels.returns).sensitive;
  return [
    ...new Set([
      ...[...servers.values()].flatMap(({ tools }) => [...tools.values()].flatMap(ofTool)),
      ...[...detectors.values()].flatMap(({ kinds }) =>
        Object.values(kinds).flatMap(({ sensitive }) => sensitive ?? []),
      ),
    ]),
  ].sort();
}

/**
 * Whose labels somebody has changed in the database has read everything that there is to read: what was taken away is not known. Recorded in
 * the transaction that says so, and sealed like what was read.
 */
export async function everythingRead(
  {
    clock,
    log,
    recordChange,
    kinds,
  }: { clock: Clock; log: Log; recordChange: RecordChange; kinds(): readonly string[] },
  transaction: DatabaseTransaction,
  broken: readonly Kept[],
): Promise<LabelRow[]> {
  if (broken.length === 0) return [];
  const now = clock.now();
  const labels = [CHANGED, UNTRUSTED, WROTE, SEVERAL, ...kinds().map((kind) => `${SENSITIVE}${kind}`)];
  const found = broken.map(({ holder, problem }) => ({ holder, problem, action: newId('act', now) }));
  log.error('ALARM: what was read was changed in the database, and counts as everything', { found });
  await recordChange(
    transaction,
    ...found.map(({ holder, problem, action }): AdministrativeChange => {
      const [task, agent] = [taskOfHolder(holder), agentOfHolder(holder)];
      return {
        operation: 'seal.broken',
        by: 'gatehouse',
        action,
        ...(task && { task }),
        ...(agent && { agent }),
        changes: [
          `what ${holder} has read was changed in the database (${problem}); it counts as having read everything`,
        ],
      };
    }),
  );
  return found.flatMap(({ holder, action }) =>
    labels.map((label) => ({
      holder,
      label,
      tool: 'gatehouse',
      action_id: action,
      task: taskOfHolder(holder) ?? '',
      at: now,
    })),
  );
}
