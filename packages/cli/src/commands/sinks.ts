import type { SinkDetail } from '@gatehouse/protocol';
import { CliFailure } from '../failure.ts';
import { clean, type Output, timeOf } from '../output.ts';
import { operatorOf, type ServerOptions } from '../server-address.ts';
import type { Run } from '../verb.ts';

export const listSinks: Run<ServerOptions> = async ({ options, out }) => {
  const { items } = await operatorOf(options).call('GET /sinks', {});
  if (out.json) return out.printJson({ items });
  if (items.length === 0)
    return out.note('There are none: records stay here. See the how-to "Send records to your SIEM".');
  out.table(
    ['SINK', 'STATE', 'TO', 'FORMAT', 'WAITING', 'OLDEST', 'SET ASIDE', 'MISSED', 'PROBLEM'],
    items.map((each) => [
      each.name,
      each.state,
      `${each.type} ${each.destination}`,
      each.format,
      String(each.backlog),
      each.backlog === 0 ? '' : `${each.lagSeconds} s`,
      String(each.quarantined),
      String(each.missed),
      clean(each.problem ?? '').slice(0, 200),
    ]),
  );
};

export const showSink: Run<ServerOptions> = async ({ args: [name = ''], options, out }) => {
  const sink = await operatorOf(options).call('GET /sinks/:name', { params: { name } });
  if (out.json) return out.printJson(sink);
  print(sink, out);
};

export const testSink: Run<ServerOptions> = async ({ args: [name = ''], options, out }) => {
  const tested = await operatorOf(options).call('POST /sinks/:name/test', { params: { name } });
  if (out.json) out.printJson(tested);
  else if (tested.ok) out.print(`${clean(name)} took the event ${clean(tested.id)} in ${tested.tookMs} ms`);
  else out.print(`${clean(name)} did not take the event: ${clean(tested.problem ?? '')}`);
  return tested.ok ? 0 : 2;
};

export const pauseSink: Run<ServerOptions> = async ({ args: [name = ''], options, out }) => {
  const sink = await operatorOf(options).call('POST /sinks/:name/pause', { params: { name } });
  if (out.json) out.printJson(sink);
  else out.print(`${clean(name)}: paused; \`gatehouse sinks resume ${clean(name)}\` goes on where it is`);
};

export const resumeSink: Run<ServerOptions> = async ({ args: [name = ''], options, out }) => {
  const sink = await operatorOf(options).call('POST /sinks/:name/resume', { params: { name } });
  if (out.json) out.printJson(sink);
  else out.print(`${clean(name)}: resumed, ${sink.backlog} records wait`);
};

export const letSinkGo: Run<ServerOptions> = async ({ args: [name = ''], options, out }) => {
  const sink = await operatorOf(options).call('POST /sinks/:name/let-go', { params: { name } });
  if (out.json) out.printJson(sink);
  else out.print(`${clean(name)}: what was recorded until now goes by its age, whether it was sent or not`);
};

export const replaySink: Run<ServerOptions & { from: string }> = async ({ args: [name = ''], options, out }) => {
  const sink = await operatorOf(options).call('POST /sinks/:name/replay', {
    params: { name },
    body: fromOf(options.from),
  });
  if (out.json) out.printJson(sink);
  else out.print(`${clean(name)}: ${sink.backlog} records are to be sent`);
};

function fromOf(text: string): { time: string } | { log: string; sequence: number } {
  const [, log, sequence] = /^(.+\/.+)\/(\d{1,15})$/.exec(text) ?? [];
  if (log !== undefined) return { log, sequence: Number(sequence) };
  const at = Date.parse(text);
  if (Number.isNaN(at))
    throw new CliFailure(
      'usage',
      'option.invalid',
      `--from must be a time such as 2026-11-27T00:00:00Z, or LOG/SEQUENCE, not "${text}".`,
    );
  return { time: new Date(at).toISOString() };
}

function print(sink: SinkDetail, out: Output): void {
  out.facts([
    ['Sink', sink.name],
    ['Description', sink.description],
    ['State', sink.state],
    ['To', `${sink.type} ${sink.destination}`],
    ['Format', sink.format],
    ['Waiting', String(sink.backlog)],
    ['Oldest', sink.backlog === 0 ? null : `${sink.lagSeconds} s`],
    ['Missed', sink.missed === 0 ? null : `${sink.missed} records that retention removed before they were sent`],
    ['Replica', sink.replica],
    ['Last delivered', sink.lastDeliveredAt === null ? null : timeOf(sink.lastDeliveredAt)],
    ['Problem', sink.problem === null ? null : clean(sink.problem)],
    ['Failing since', sink.failingSince === null ? null : timeOf(sink.failingSince)],
    ['Tried again', sink.nextTryAt === null ? null : timeOf(sink.nextTryAt)],
    ['Paused', sink.paused && `${timeOf(sink.paused.at)} by ${clean(sink.paused.by)}`],
  ]);
  out.print('');
  out.table(
    ['LOG', 'NEXT', 'OF'],
    sink.positions.map(({ log, sequence, size }) => [log, String(sequence), String(size)]),
  );
  if (sink.quarantine.length === 0) return;
  out.print('');
  out.table(
    ['SET ASIDE', 'AT', 'WHY'],
    sink.quarantine.map(({ log, sequence, at, reason }) => [
      `${log}/${sequence}`,
      timeOf(at) ?? '',
      clean(reason).slice(0, 200),
    ]),
  );
}
