import { z } from 'zod';
import type { Ledger } from '../../ledger/index.ts';
import { GatehouseError, type JsonObject } from '../../platform/index.ts';
import type { Gateway } from '../elsewhere/gateway.ts';
import { parsed } from './request.ts';

const report = z.strictObject({
  evaluation_id: z.string().min(1).max(200),
  /** `not_done`: the call was not made. */
  result: z.enum(['success', 'failure', 'not_done']),
  detail: z.string().max(500).optional(),
});

/**
 * What came of a call that a gateway was allowed to make, as it says. Until then the record says that nobody knows; what is reported is recorded
 * as reported, once, and changes nothing of what was decided.
 */
export function createOutcomes({ ledger }: { ledger: Pick<Ledger, 'action' | 'append'> }) {
  return async (gateway: Gateway, body: JsonObject) => {
    const { evaluation_id: id, result, detail } = parsed(report, body);
    const action = await ledger.action(id);
    const dispatch = action?.records.find(({ record }) => record.kind === 'dispatch')?.record;
    if (!action || dispatch?.gateway !== gateway.spiffeId)
      throw new GatehouseError(
        'not-found',
        'evaluation.unknown',
        'There is no evaluation of this id that this gateway was told yes for.',
      );
    if (action.records.some(({ record }) => record.kind === 'outcome' && record.result !== 'unknown'))
      throw new GatehouseError(
        'conflict',
        'evaluation.reported',
        'The outcome of this evaluation was reported before.',
      );
    const { v: _v, time: _t, replica: _r, arguments_digest: _a, result_digest: _d, ...record } = dispatch;
    const said = result === 'not_done' ? 'the call was not made' : result;
    const written = await ledger.append({
      record: {
        ...record,
        kind: 'outcome',
        result: result === 'success' ? 'success' : 'failure',
        detail: `Reported by the gateway "${gateway.name}": ${said}${detail === undefined ? '' : `; ${detail.toWellFormed()}`}.`,
      },
    });
    if (!written.ok)
      throw new GatehouseError('unavailable', 'ledger.refused', 'The outcome could not be recorded. Try again.');
    return { evaluation_id: id, recorded: true };
  };
}
