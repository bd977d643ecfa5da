import { mkdirSync } from 'node:fs';
import {
  createClockDoubt,
  createKeeping,
  createReads,
  createRetention,
  openLedger,
  openPublishingPlace,
  readWitnessPolicy,
} from '../ledger/index.ts';
import {
  type Config,
  createLog,
  createOutbound,
  keyFile,
  openTracing,
  Secret,
  systemClock,
} from '../platform/index.ts';
import {
  createRewrapper,
  createSealer,
  defaultKeyFile,
  openKeyRing,
  openStorage,
  type RecordChange,
  recordAddedKeys,
} from '../storage/index.ts';
import type { StartOptions } from './types.ts';

/** Long enough to rehearse a change of policies on what was done, and no longer. */
const KEEP_ARGUMENTS_DAYS = 90;

export type Foundation = Awaited<ReturnType<typeof openFoundation>>;

/** The lowest floor: the database, what is sealed in it, and the record. */
export async function openFoundation(config: Config, options: StartOptions, opened: AsyncDisposableStack) {
  const log = options.log ?? createLog('info');
  const clock = options.clock ?? systemClock;
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
  const tracing = await openTracing(config, log);
  opened.defer(() => tracing.close());

  const operatorToken = new Secret(keyFile(config.dataDir, 'operator.token').toString('base64url'));
  const storage = await openStorage({ database: config.database, dataDir: config.dataDir, log, clock });
  opened.defer(() => storage.close());
  const openedAt = await storage.feed.head();
  const keyRing = await openKeyRing({
    storage,
    clock,
    dataDir: config.dataDir,
    environment: process.env,
    specs: config.keyEncryption ?? [`file:${defaultKeyFile(config.dataDir)}`],
  });
  const sealer = createSealer(keyRing);
  const origin = new URL(config.publicUrl).host;
  const outbound = createOutbound();
  opened.defer(() => outbound.close());
  const { witnesses } = config;
  const ledger = await openLedger({
    ...{ storage, sealer, clock, log, replica: config.replica, origin },
    ...(witnesses && {
      witnesses: {
        policy: readWitnessPolicy(witnesses.policyFile),
        failClosedAfterMs:
          witnesses.failClosedAfterSeconds === undefined ? null : witnesses.failClosedAfterSeconds * 1_000,
        outbound,
      },
    }),
    ...(config.publishLogTo !== undefined && { publishTo: openPublishingPlace(config.publishLogTo, process.env) }),
  });
  opened.defer(() => ledger.close());
  const reads = createReads({ recordGuarded: ledger.recordGuarded, clock, log });
  opened.defer(() =>
    reads.flush(true).catch((error) => log.warn('not all looks at the record are counted', { error })),
  );
  const recordChange: RecordChange = ledger.recordChange;
  const keepDays = config.keepArgumentsDays ?? KEEP_ARGUMENTS_DAYS;
  // A clock that is passed in stands for that of the database as well.
  const databaseNow = options.clock ? async () => clock.now() : storage.now;
  const clockDoubt = createClockDoubt({ storage, clock, databaseNow, log });
  const kept = { storage, recordChange, clock, clockDoubt, argumentsDays: keepDays === 0 ? null : keepDays };
  const keeping = createKeeping({ ...kept, sealer, log, ownLog: ledger.own });
  const retention = createRetention({
    ...{ ...kept, replica: config.replica, ownLog: ledger.own },
    shownSize: ledger.shownSize,
    unindex: ledger.unindex,
  });
  await recordAddedKeys(keyRing, { storage, recordChange });
  const rewrapper = createRewrapper({ storage, ring: keyRing, recordChange, clock, log });
  return {
    ...{ config, log, clock, tracing, outbound, origin, operatorToken },
    ...{ storage, openedAt, keyRing, sealer, rewrapper, ledger, reads, keeping, retention, recordChange },
  };
}
