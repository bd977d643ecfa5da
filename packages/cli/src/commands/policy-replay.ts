import type { ReplayDifference, ReplayEvent, ReplayExample, ReplayResult } from '@gatehouse/protocol';
import { exitCodes } from '../exit-codes.ts';
import { CliFailure } from '../failure.ts';
import { clean, type Output, timeOf } from '../output.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import { type Run, toNumber } from '../verb.ts';

interface RangeOptions extends ServerOptions {
  since: string;
  until?: string;
  limit: string;
}

interface ReplayOptions extends RangeOptions {
  with?: string;
  prune?: boolean;
  proposal?: string;
}

const UNITS: Record<string, number> = { m: 60_000, h: 3_600_000, d: 24 * 3_600_000, w: 7 * 24 * 3_600_000 };

/** `30d`, `12h`, or a time as the server takes it. */
function timeText(text: string): string {
  const ago = /^(\d{1,6})([mhdw])$/.exec(text);
  return ago ? String(Date.now() - Number(ago[1]) * (UNITS[ago[2] ?? ''] ?? 0)) : text;
}

const rangeOf = ({ since, until, limit }: RangeOptions) => ({
  since: timeText(since),
  ...(until !== undefined && { until: timeText(until) }),
  limit: toNumber(limit, '--limit', 0, 200),
});

export const replay: Run<ReplayOptions> = async ({ options, out }) => {
  if (options.with !== undefined && options.proposal !== undefined)
    throw new CliFailure('usage', 'replay.one', 'Give --with or --proposal, not both.');
  const { loadManifests } = await import('@gatehouse/server/manifests');
  const body = {
    ...rangeOf(options),
    ...(options.proposal === undefined
      ? { manifests: options.with === undefined ? [] : loadManifests(options.with), prune: options.prune === true }
      : { proposal: toNumber(options.proposal, '--proposal', 1, 1e9) }),
  };
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  const bar = createBar();
  let result: ReplayResult | undefined;
  try {
    const lines = operatorOf(options).lines('POST /policy/replay', { body, signal: stop.signal });
    for await (const event of lines as AsyncIterable<ReplayEvent>) {
      if (event.type === 'progress') bar.show(event.share, event.decisions);
      else if (event.type === 'result') result = event.result;
      else throw new CliFailure('failed', event.code, event.detail);
    }
  } catch (error) {
    if (stop.signal.aborted) throw new CliFailure('failed', 'replay.cancelled', 'Cancelled. Nothing was changed.');
    throw error;
  } finally {
    bar.end();
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
  if (!result) throw new CliFailure('failed', 'replay.cut', 'The server ended the replay without a result. Try again.');
  const differs = result.stops.count + result.runs.count + result.waits.count > 0;
  if (out.json) out.printJson(result);
  else print(result, out);
  return differs ? exitCodes.failed : exitCodes.ok;
};

const BAR_CHARS = 30;

/** On a terminal only; what is piped gets the result alone. */
function createBar() {
  const isShown = process.stderr.isTTY === true;
  return {
    show(share: number, decisions: number): void {
      if (!isShown) return;
      const filled = Math.round(share * BAR_CHARS);
      const bar = '█'.repeat(filled) + '░'.repeat(BAR_CHARS - filled);
      process.stderr.write(`\r${bar} ${String(Math.floor(share * 100)).padStart(3)} %  ${decisions} decisions`);
    },
    end(): void {
      if (isShown) process.stderr.write(`\r${' '.repeat(BAR_CHARS + 40)}\r`);
    },
  };
}

function print(result: ReplayResult, out: Output): void {
  const { stops, runs, waits } = result;
  out.facts([
    ['From', timeOf(result.since)],
    ['To', timeOf(result.until)],
    ['Decisions', result.decisions],
    ['Decided again', result.replayed],
    ['Unchanged', result.unchanged],
    ['Newly stop', stops.count],
    ['Newly run', runs.count],
    ['Newly wait', waits.count],
    ['Other tier only', result.otherTier || null],
    ['Policies', `${result.policyVersion.before.slice(0, 19)} → ${result.policyVersion.after.slice(0, 19)}`],
  ]);
  printDifference('Would newly stop', stops, out);
  printDifference('Would newly run', runs, out);
  printDifference('Would newly wait', waits, out);
  for (const { policy, stops: stop, runs: run, waits: wait } of result.observed)
    out.print(`Observed only: ${clean(policy)} would stop ${stop}, let run ${run}, have wait ${wait}`);
  for (const { name, count } of result.cannotReplay) out.print(`Cannot be decided again: ${count} (${clean(name)})`);
  for (const { name, count } of result.notPolicy) out.print(`Not decided by policy: ${count} (${clean(name)})`);
  if (result.decidedOtherwise.count > 0) {
    out.print(`Decided otherwise then than now, without the change: ${result.decidedOtherwise.count}`);
    for (const example of result.decidedOtherwise.examples.slice(0, 3)) printExample(example, out);
  }
  for (const line of result.basis) out.note(line);
}

function printDifference(heading: string, { count, examples, ...by }: ReplayDifference, out: Output): void {
  if (count === 0) return;
  out.print(`\n${out.style('bold', `${heading}: ${count}`)}`);
  for (const [dimension, counts] of Object.entries(by))
    out.print(`  by ${dimension}: ${counts.map(({ name, count }) => `${clean(name)} ${count}`).join(', ')}`);
  for (const example of examples) printExample(example, out);
}

function printExample({ actionId, time, agent, tool, resource, before, after }: ReplayExample, out: Output): void {
  const about = resource === null ? '' : ` (${clean(resource)})`;
  out.print(`  ${actionId}  ${timeOf(time)}  ${clean(agent)}  ${clean(tool)}${about}`);
  out.print(`    ${before.effect}, tier ${before.tier} → ${after.effect}, tier ${after.tier}: ${clean(after.reason)}`);
}

export const observed: Run<RangeOptions> = async ({ options, out }) => {
  const view = await operatorOf(options).call('GET /policy/observed', { query: rangeOf(options) });
  if (out.json) return out.printJson(view);
  if (view.items.length === 0)
    return out.note(`No policy in observe mode would have changed any of ${view.decisions} decisions.`);
  out.table(
    ['POLICY', 'NOW', 'WOULD STOP', 'WOULD RUN', 'WOULD WAIT', 'FOR EXAMPLE'],
    view.items.map(({ policy, observing, stops, runs, waits, examples }) => [
      policy,
      observing ? 'observed' : '–',
      String(stops),
      String(runs),
      String(waits),
      examples.slice(0, 2).join(' '),
    ]),
  );
};
