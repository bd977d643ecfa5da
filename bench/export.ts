import { openExportHouse } from '../packages/server/src/ledger/export/testing/house.ts';
import { openReceiver } from '../packages/server/src/ledger/export/testing/receiver.ts';
import { type Measure, median, quantile, table } from './measure.ts';

/** How fast a sink catches up with a backlog, and what the durable writes of the gate take meanwhile. */
export const measure: Measure = {
  heading: 'Export',
  options: { records: '100000' },
  async run({ records }) {
    const house = await openExportHouse();
    const receiver = await openReceiver();
    try {
      const wanted = Number(records);
      for (let written = 0; written < wanted; written += 5_000) await house.act(Math.min(5_000, wanted - written));
      const quiet = await appends(house, new Promise((resolve) => setTimeout(resolve, 3_000)));
      const rows: {
        sink: string;
        seconds: number;
        perSecond: number;
        gateMicros: number;
        median: string;
        p99: string;
      }[] = [];
      const secret = 'hook';
      const sinks = {
        'JSON lines by webhook': { format: 'json-lines', to: { type: 'webhook', url: receiver.url, secret } },
        'OCSF by webhook': { format: 'ocsf', to: { type: 'webhook', url: receiver.url, secret } },
        'OCSF to Splunk HEC': { format: 'ocsf', to: { type: 'splunk-hec', url: receiver.url, secret } },
        'OTLP/HTTP': { format: 'otlp', to: { type: 'otlp-http', url: receiver.url } },
        'CEF to a file': { format: 'cef', to: { type: 'file', file: 'records.cef' } },
      } as const;
      for (const [what, sink] of Object.entries(sinks)) {
        const name = `sink-${rows.length}`;
        receiver.taken.length = 0;
        const from = performance.now();
        const gate = process.threadCpuUsage();
        await house.apply({ name, ...sink, from: 'beginning', allowPrivateAddress: true, batchRecords: 1_000 });
        const caughtUp = async () => {
          while ((await house.sinks.show(name)).positions.some(({ sequence }) => sequence < wanted))
            await new Promise((resolve) => setTimeout(resolve, 50));
        };
        const busy = await appends(house, caughtUp());
        const seconds = (performance.now() - from) / 1_000;
        const used = process.threadCpuUsage(gate);
        await house.sinks.pause(name, 'bench');
        rows.push({
          sink: what,
          seconds,
          perSecond: Math.round(wanted / seconds),
          gateMicros: (used.user + used.system) / wanted,
          ...latency(busy),
        });
      }
      return {
        rows: { rows, quiet: latency(quiet) },
        how: `${records} records of calls on SQLite, from the moment the sink is applied until its position is behind the last of them; batches of 1,000. The receiver is an
HTTP server of the gate’s own thread that reads and answers. Meanwhile one caller after the other has a record of its own made durable, as each call of the gate does.`,
        tables: `${table(
          [
            'sink',
            'seconds',
            'records per second',
            'processor time of the gate’s thread per record, µs',
            'a durable write meanwhile, median ms',
            '99th percentile',
          ],
          rows.map((row) => [
            row.sink,
            row.seconds.toFixed(1),
            row.perSecond,
            row.gateMicros.toFixed(0),
            row.median,
            row.p99,
          ]),
        )}\n\nWithout any sink at work a durable write takes ${latency(quiet).median} ms, and ${latency(quiet).p99} ms at the 99th percentile.`,
      };
    } finally {
      await house.close();
      await receiver.close();
    }
  },
};

/** What one durable write after the other takes, while something else happens. */
async function appends(
  house: Awaited<ReturnType<typeof openExportHouse>>,
  meanwhile: Promise<unknown>,
): Promise<number[]> {
  const took: number[] = [];
  let isOver = false;
  const over = meanwhile.finally(() => {
    isOver = true;
  });
  while (!isOver) {
    const from = performance.now();
    await house.act(1);
    took.push(performance.now() - from);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await over;
  return took;
}

const latency = (all: number[]) => ({
  median: median(all).toFixed(1),
  p99: quantile(
    [...all].sort((a, b) => a - b),
    0.99,
  ).toFixed(1),
});
