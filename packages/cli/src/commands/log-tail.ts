import { setTimeout as sleep } from 'node:timers/promises';
import type { SequencedRecord } from '@gatehouse/protocol';
import type { Operator } from '@gatehouse/sdk/operator';
import { exitCodes } from '../exit-codes.ts';
import { toFailure } from '../failure.ts';
import { takeUpTo } from '../items.ts';
import { type FilterOptions, fits, toFilter } from '../record-filter.ts';
import { recordLine } from '../record-line.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import { type Run, toNumber } from '../verb.ts';

interface Options extends ServerOptions, FilterOptions {
  follow?: boolean;
  lines: string;
}

const RECONNECT_MS = 1_000;
/** Records that came while the server was away are looked for this far back. */
const CATCH_UP_RECORDS = 10_000;

export const tail: Run<Options> = async ({ options, out }) => {
  const query = toFilter(options);
  const operator = operatorOf(options);
  /** Per log, the last sequence that was printed. */
  const printed = new Map<string, number>();
  const print = (found: SequencedRecord) => {
    const { log, sequence } = found;
    if (sequence <= (printed.get(log) ?? -1)) return;
    printed.set(log, sequence);
    if (!fits(found.record, query)) return;
    if (out.json) out.printJson(found, { line: true });
    else out.print(recordLine(found, out));
  };
  const lines = toNumber(options.lines, '--lines', 0, 100_000);
  if (!options.follow) {
    const found = await takeUpTo(operator.list('GET /records', { query: { ...query, limit: pageSize(lines) } }), lines);
    for (const each of found.reverse()) print(each);
    return;
  }
  for (let isKnown = false; ; ) {
    try {
      await follow(operator, print, async () => {
        const isFirst = !isKnown;
        isKnown = true;
        const missed = isFirst
          ? await takeUpTo(operator.list('GET /records', { query: { ...query, limit: pageSize(lines) } }), lines)
          : await since(operator, printed);
        for (const each of missed.reverse()) print(each);
      });
    } catch (error) {
      const failure = toFailure(error);
      if (!isKnown || failure.exitCode !== exitCodes.unavailable) throw failure;
    }
    out.note('The server has closed the stream; waiting for it …');
    for (;;) {
      await sleep(RECONNECT_MS);
      try {
        await operator.call('GET /status');
        break;
      } catch (error) {
        if (toFailure(error).exitCode !== exitCodes.unavailable) throw error;
      }
    }
  }
};

/** Listens first and then reads what is there already, so that nothing falls between the two. */
async function follow(
  operator: Operator,
  print: (record: SequencedRecord) => void,
  readBacklog: () => Promise<void>,
): Promise<void> {
  const waiting: SequencedRecord[] = [];
  let backlog: Promise<void> | undefined;
  let isRead = false;
  let problem: unknown;
  const onOpen = () => {
    backlog = readBacklog()
      .then(() => {
        for (const each of waiting.splice(0)) print(each);
        isRead = true;
      })
      .catch((error: unknown) => {
        problem = error;
      });
  };
  for await (const event of operator.events({ onOpen })) {
    if (problem !== undefined) throw problem;
    if (event.type !== 'record') continue;
    if (isRead) print(event.record);
    else waiting.push(event.record);
  }
  await backlog;
  if (problem !== undefined) throw problem;
}

async function since(operator: Operator, printed: Map<string, number>): Promise<SequencedRecord[]> {
  const missed: SequencedRecord[] = [];
  for await (const each of operator.list('GET /records')) {
    const last = printed.get(each.log);
    if ((last !== undefined && each.sequence <= last) || missed.length === CATCH_UP_RECORDS) break;
    missed.push(each);
  }
  return missed;
}

const pageSize = (lines: number) => Math.min(200, Math.max(1, lines));
