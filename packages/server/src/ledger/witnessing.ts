import type { WitnessingView } from '@gatehouse/protocol';
import {
  consistencyProof,
  cosignaturesIn,
  formatAddCheckpoint,
  type HashReader,
  openCheckpoint,
  type Policy,
  parseVerifierKey,
  type Witness,
} from '@gatehouse/verifier';
import { nodeSha256 } from '@gatehouse/verifier/node';
import { type Clock, GatehouseError, type Log, type Outbound, type OutboundAnswer } from '../platform/index.ts';
import type { Storage } from '../storage/index.ts';
import { ledgerLimits } from './limits.ts';
import type { StoredCheckpoint } from './stored.ts';

export interface WitnessingOptions {
  policy: Policy;
  /** After this time without enough cosignatures nothing is dispatched any more; null: it goes on, and the time is shown. */
  failClosedAfterMs: number | null;
}

interface WitnessState {
  witness: Witness & { url: string };
  /** Of the log as that witness has cosigned it last, as far as is known; it says so itself where that is wrong. */
  size: number;
  at: number | null;
  busy: boolean;
  failures: number;
  nextAt: number;
  problem: string | null;
}

export type Witnessing = ReturnType<typeof createWitnessing>;

/**
 * Has each checkpoint cosigned by the witnesses of the policy (c2sp.org/tlog-witness). In rounds, so that all of them cosign the same one;
 * beside the writing of records, which never waits for it.
 */
export function createWitnessing(
  deps: {
    storage: Storage;
    log: Log;
    clock: Clock;
    outbound: Outbound;
    logId: string;
    vkey: string;
    hashReader(size: number): HashReader;
  } & WitnessingOptions,
) {
  const { storage, log, clock, outbound, logId, policy, failClosedAfterMs } = deps;
  const logKey = parseVerifierKey(deps.vkey);
  const keys = policy.witnesses.map(({ key }) => key);
  const states = policy.witnesses.flatMap((witness): WitnessState[] =>
    witness.url === null
      ? []
      : [
          {
            witness: { ...witness, url: witness.url },
            size: 0,
            at: null,
            busy: false,
            failures: 0,
            nextAt: 0,
            problem: null,
          },
        ],
  );
  let newest: StoredCheckpoint | undefined;
  let cosigned: { size: number; at: number } | null = null;
  /** Since when there are records that are not cosigned; null: there are none. */
  let uncosignedSince: number | null = null;
  let timer: NodeJS.Timeout | undefined;
  let timerAt = 0;
  let lastRoundAt = 0;
  let running = false;
  let closed = false;

  function wake(afterMs = 0): void {
    const at = Math.max(clock.now() + afterMs, lastRoundAt + ledgerLimits.witnessEveryMs);
    if (closed || running || (timer && timerAt <= at)) return;
    clearTimeout(timer);
    timerAt = at;
    timer = setTimeout(() => {
      timer = undefined;
      running = true;
      lastRoundAt = clock.now();
      round()
        .catch((error) => log.error('checkpoints could not be witnessed', { error }))
        .finally(() => {
          running = false;
          const next = nextRoundIn();
          if (next !== null) wake(next);
        });
    }, at - clock.now());
    timer.unref();
  }

  /** Null: everything is cosigned by everybody, and the next checkpoint wakes. */
  function nextRoundIn(): number | null {
    const target = newest;
    const waiting = states.filter((state) => target && state.size < target.size && !state.busy);
    if (waiting.length === 0) return states.some(({ busy }) => busy) ? ledgerLimits.witnessEveryMs : null;
    return Math.max(0, Math.min(...waiting.map(({ nextAt }) => nextAt)) - clock.now());
  }

  async function round(): Promise<void> {
    const target = newest;
    if (!target) return;
    const begunAt = clock.now();
    const ready = states.filter((state) => !state.busy && state.nextAt <= begunAt && state.size < target.size);
    const enough = Promise.withResolvers<void>();
    const submitted = ready.map(async (state) => {
      state.busy = true;
      try {
        await submit(state, target);
        if ((cosigned?.size ?? 0) < target.size && (await isEnough(target))) {
          await storage.db
            .updateTable('checkpoints')
            .set({ cosigned_at: clock.now() })
            .where('log', '=', logId)
            .where('size', '=', target.size)
            .execute();
          cosigned = { size: target.size, at: clock.now() };
          // What came after it is younger than this round.
          uncosignedSince = newest && newest.size > target.size ? begunAt : null;
          enough.resolve();
        }
        if (state.problem !== null) log.info('a witness cosigns again', { witness: state.witness.name });
        Object.assign(state, { failures: 0, problem: null, at: clock.now(), nextAt: 0 });
      } catch (error) {
        failed(state, error);
      } finally {
        state.busy = false;
      }
    });
    // The slowest is not waited for: it cosigns what it was given, and takes part again then.
    await Promise.race([Promise.all(submitted), enough.promise]);
  }

  async function isEnough(target: StoredCheckpoint): Promise<boolean> {
    const { note, cosignatures } = await storage.db
      .selectFrom('checkpoints')
      .select(['note', 'cosignatures'])
      .where('log', '=', logId)
      .where('size', '=', target.size)
      .executeTakeFirstOrThrow();
    const opened = await openCheckpoint(note + cosignatures, logKey, logId, keys);
    return policy.isMet(opened.cosignatures.map(({ key }) => key));
  }

  async function submit(state: WitnessState, target: StoredCheckpoint): Promise<void> {
    const { witness } = state;
    for (let tries = 0; tries < 3; tries++) {
      const oldSize = state.size;
      const proof =
        oldSize === 0 ? [] : await consistencyProof(oldSize, target.size, deps.hashReader(target.size), nodeSha256);
      const answer = await outbound.fetch(`${witness.url.replace(/\/+$/, '')}/add-checkpoint`, {
        method: 'POST',
        headers: { accept: 'text/plain', 'content-type': 'text/plain; charset=utf-8' },
        body: formatAddCheckpoint({ oldSize, proof, checkpoint: target.note }),
        // The operator of this server has named the witness in a file of this host.
        allowPrivateAddress: true,
        timeoutMs: ledgerLimits.witnessTimeoutMs,
        maxBytes: ledgerLimits.witnessAnswerBytes,
      });
      if (answer.status === 200) {
        const lines = await cosignaturesIn(answer.body.toString('utf8'), target.note, witness.key);
        await keep(target, lines[0]?.line ?? '');
        state.size = target.size;
        return;
      }
      const known = sizeIn(answer);
      if (known === undefined) throw refused(answer, witness);
      if (known > target.size) {
        throw new GatehouseError(
          'conflict',
          'witness.ahead',
          `it has cosigned ${known} records of this log, and there are ${target.size}: records were taken back`,
        );
      }
      state.size = known;
    }
    throw new GatehouseError('upstream', 'witness.contended', 'it changes what it has cosigned each time it is asked');
  }

  async function keep(target: StoredCheckpoint, line: string): Promise<void> {
    await storage.db
      .updateTable('checkpoints')
      .set(({ eb, ref }) => ({ cosignatures: eb(ref('cosignatures'), '||', `${line}\n`) }))
      .where('log', '=', logId)
      .where('size', '=', target.size)
      .execute();
  }

  function failed(state: WitnessState, error: unknown): void {
    const isNew = state.problem === null;
    state.problem = error instanceof Error ? error.message : String(error);
    const asked = error instanceof GatehouseError ? Number(error.extra.retryAfterMs ?? 0) : 0;
    const retryMs = Math.max(asked, Math.min(ledgerLimits.witnessRetryMs, 1_000 * 2 ** state.failures));
    state.failures += 1;
    state.nextAt = clock.now() + retryMs;
    const alarm = error instanceof GatehouseError && ['witness.ahead', 'witness.inconsistent'].includes(error.code);
    if (!isNew) return;
    const facts = { witness: state.witness.name, problem: state.problem };
    if (alarm) log.error('ALARM: a witness holds another past of this log than is stored here', facts);
    else log.warn('a witness does not cosign', facts);
  }

  const isLate = (): boolean =>
    failClosedAfterMs !== null && uncosignedSince !== null && clock.now() - uncosignedSince > failClosedAfterMs;

  return {
    /** Takes up what was known before the last stop. */
    async open(last: StoredCheckpoint | undefined, lastCosigned: StoredCheckpoint | undefined): Promise<void> {
      newest = last;
      if (lastCosigned) cosigned = { size: lastCosigned.size, at: lastCosigned.cosignedAt ?? lastCosigned.at };
      if (last && last.size > (cosigned?.size ?? 0)) uncosignedSince = last.at;
      wake();
    },
    checkpoint(checkpoint: StoredCheckpoint): void {
      newest = checkpoint;
      uncosignedSince ??= checkpoint.at;
      wake();
    },
    /** Why nothing may be sent now, where this deployment lets nothing run that witnesses have not seen for too long. */
    refusal(): GatehouseError | undefined {
      if (!isLate()) return undefined;
      const seconds = Math.floor((clock.now() - (uncosignedSince ?? 0)) / 1_000);
      return new GatehouseError(
        'unavailable',
        'ledger.unwitnessed',
        `The record has not been cosigned by its witnesses for ${seconds} s, and this deployment lets nothing run then. See the witnesses on the page Log, or with gatehouse log list.`,
      );
    },
    uncosignedFor: (): number => (uncosignedSince === null ? 0 : clock.now() - uncosignedSince),
    view: (): WitnessingView => ({
      quorum: policy.quorum,
      failClosedAfterSeconds: failClosedAfterMs === null ? null : failClosedAfterMs / 1_000,
      cosigned,
      uncosignedSince,
      refuses: isLate(),
      witnesses: policy.witnesses.map((witness) => {
        const state = states.find((each) => each.witness.name === witness.name);
        return {
          name: witness.name,
          key: witness.key.name,
          url: witness.url,
          size: state?.size ?? 0,
          at: state?.at ?? null,
          problem: state ? state.problem : 'the policy gives it no address',
        };
      }),
    }),
    close(): void {
      closed = true;
      clearTimeout(timer);
    },
  };
}

/** What a witness that has cosigned another size says of it. */
function sizeIn({ status, headers, body }: OutboundAnswer): number | undefined {
  if (status !== 409 || headers['content-type']?.split(';')[0]?.trim() !== 'text/x.tlog.size') return undefined;
  const text = body.toString('utf8');
  return /^(0|[1-9]\d{0,15})\n$/.test(text) ? Number(text) : undefined;
}

function refused({ status, headers, body }: OutboundAnswer, { key }: Witness): GatehouseError {
  const retryAfterMs = Math.min(3_600, Number(headers['retry-after'] ?? 0) || 0) * 1_000;
  const said = body.toString('utf8').slice(0, 200).trim();
  const why: Record<number, string> = {
    403: 'it does not accept this log’s signature: it knows the log by another key',
    404: 'it does not know this log: its operator adds the log’s key to it',
    422: 'it does not accept the proof: what it has cosigned is not the beginning of this log',
  };
  return new GatehouseError(
    status === 422 ? 'conflict' : 'upstream',
    status === 422 ? 'witness.inconsistent' : 'witness.refused',
    `${why[status] ?? `${key.name} answered ${status}`}${said === '' ? '' : ` (${said})`}`,
    { extra: { retryAfterMs } },
  );
}
