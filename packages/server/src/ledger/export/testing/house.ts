import type { ManifestInput } from '@gatehouse/protocol';
import { manifest } from '@gatehouse/protocol';
import { openHouse } from '../../../identity/people/testing/house.ts';
import { createOutbound, Secret, systemClock } from '../../../platform/index.ts';
import { createExport } from '../export.ts';
import { recordOf } from './records.ts';

export const SECRET_TEXT = 'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=';

/** A house that delivers: real storage and ledger, and one secret that opens everywhere. */
export async function openExportHouse(options: { database?: string; dataDir?: string; replica?: string } = {}) {
  const house = await openHouse(options);
  const outbound = createOutbound();
  const warnings: { message: string; fields: Record<string, unknown> | undefined }[] = [];
  const note = (message: string, fields?: Record<string, unknown>) => void warnings.push({ message, fields });
  const replica = options.replica ?? 'replica-a';
  const sinks = createExport({
    storage: house.storage,
    registry: house.registry,
    recordChange: house.recordChange,
    outbound,
    openSecret: async () => new Secret(SECRET_TEXT),
    dataDir: house.dataDir,
    replica,
    origin: 'localhost:4100',
    version: '0.0.0',
    clock: systemClock,
    log: { debug: note, info: note, warn: note, error: note },
  });
  return {
    ...house,
    sinks,
    warnings,
    async apply(...sinkManifests: Omit<Extract<ManifestInput, { kind: 'Sink' }>, 'kind'>[]) {
      await house.registry.apply(
        sinkManifests.map((each) => manifest.parse({ kind: 'Sink', ...each })),
        { prune: false, by: 'gatehouse' },
      );
      sinks.refresh();
    },
    /** So many records of calls, durable. */
    async act(count: number, more: Parameters<typeof recordOf>[0] = {}) {
      const { v: _v, time: _t, replica: _r, arguments_digest: _a, result_digest: _d, ...record } = recordOf(more);
      const written = Array.from({ length: count }, (_, at) =>
        house.ledger.append({ record: { ...record, action_id: `act_${at}_${Math.random()}` } }),
      );
      await Promise.all(written);
    },
    async close(how: Parameters<typeof house.close>[0] = {}) {
      await sinks.close();
      await outbound.close();
      await house.close(how);
    },
  };
}

export type ExportHouse = Awaited<ReturnType<typeof openExportHouse>>;

/** Asks again and again until it is so. */
export async function until(what: () => boolean | Promise<boolean>, ms = 15_000): Promise<void> {
  const end = Date.now() + ms;
  while (!(await what())) {
    if (Date.now() > end) throw new Error(`it did not come about within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
