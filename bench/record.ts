import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { verifyPublished } from '@gatehouse/verifier';
import { directorySource, nodeSha256 } from '@gatehouse/verifier/node';
import { type Ledger, type LedgerEntry, openLedger, openPublishingPlace } from '../packages/server/src/ledger/index.ts';
import { createLog, systemClock } from '../packages/server/src/platform/index.ts';
import { createSealer, openStorage } from '../packages/server/src/storage/index.ts';
import { startPostgres } from '../test/support/postgres.ts';
import { type Measure, median, quantile, table } from './measure.ts';

interface Row {
  what: string;
  database: string;
  value: number;
  unit: string;
}

export const measure: Measure = {
  heading: 'The record (P3)',
  options: {
    small: '1000',
    large: '1000000',
    records: '0',
    atOnce: '4096',
    seconds: '3',
    rounds: '5',
    receipts: '200',
    postgres: 'true',
  },
  async run(options) {
    const number = (name: string) => Number(options[name]);
    const rows: Row[] = [];
    const postgres = options.postgres === 'true' ? await startPostgres() : undefined;
    const databases: [string, string][] = [['SQLite', 'sqlite']];
    if (postgres) databases.push(['PostgreSQL', (await postgres.createDatabase()).url]);
    try {
      for (const [name, url] of databases) {
        const add = (what: string, value: number, unit: string) => rows.push({ what, database: name, value, unit });
        const most = number('large') / (name === 'SQLite' ? 1 : 10);
        const sizes = [
          number('small'),
          most,
          ...(name === 'SQLite' && number('records') > most ? [number('records')] : []),
        ];
        const directory = mkdtempSync(join(tmpdir(), 'gatehouse-bench-record-'));
        const found: { at: number; rate: Rate }[] = [];
        let house = await open(url, directory, false);
        try {
          for (const at of sizes) {
            await fill(house.ledger, at, number('atOnce'), name);
            found.push({ at, rate: await rates(house.ledger, number('rounds'), number('seconds'), number('atOnce')) });
            if (at !== most || name !== 'SQLite') continue;
            await house.close();
            const published = await open(url, directory, true);
            await verifyIt(published, add).finally(published.close);
            house = await open(url, directory, false);
          }
          for (const { at, rate } of found) {
            add(`durable appends, ${said(at)} in the log`, rate.perSecond, '/s');
            add(`processor time of one, ${said(at)} in the log`, rate.cpuMicroseconds, 'µs');
          }
          for (const { at, rate } of found.slice(1))
            add(
              `that is, at ${said(at)} : at ${said(number('small'))}`,
              rate.cpuMicroseconds / (found[0]?.rate.cpuMicroseconds ?? 1),
              '×',
            );
          add('the tree is up to date after the last append', await behind(house.ledger, number('atOnce')), 'ms');
          let times: number[] = [];
          const receiptCpu = await cpuSeconds(async () => {
            times = await receipts(house.ledger, number('receipts'));
          });
          add('a receipt, p50', quantile(times, 0.5), 'ms');
          add('a receipt, p99', quantile(times, 0.99), 'ms');
          add('a receipt, processor time', (receiptCpu / times.length) * 1e3, 'ms');
        } finally {
          await house.close();
          rmSync(directory, { recursive: true, force: true });
        }
      }
    } finally {
      await postgres?.close();
    }
    return {
      rows,
      how: `Records as the gate writes them for a call (a dispatch, with its arguments beside it), ${options.atOnce} waiting at once, each of them on the disk before it counts (fsync; group commit), while the tree is made and
signed. Medians of ${options.rounds} rounds of ${options.seconds} s. One process with its database thread, or PostgreSQL on the same machine with a tenth of the records. Filled in the same way as measured, nothing being published meanwhile. A receipt: ${options.receipts} of records all over the log, one after the other, each with its proof made from the database.
Verifying: from a directory, entries and every tile of hashes, by one thread. Left out: the policies, the call itself, witnesses.`,
      tables: table(
        ['what', 'database', ''],
        rows.map(({ what, database, value, unit }) => [what, database, `${format(value)} ${unit}`]),
      ),
    };
  },
};

const format = (value: number) => (value >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(2));

const said = (count: number) => `${count.toLocaleString('en')} records`;

const sealingKey = randomBytes(32);

async function open(database: string, directory: string, isPublished: boolean) {
  const place = join(directory, 'published');
  const log = createLog('error');
  const storage = await openStorage({ database, dataDir: directory, log, clock: systemClock });
  const ledger = await openLedger({
    ...{
      storage,
      sealer: createSealer(sealingKey),
      clock: systemClock,
      log,
      replica: 'one',
      origin: 'bench.test',
    },
    ...(isPublished && { publishTo: openPublishingPlace(place, {}) }),
  });
  return {
    ledger,
    place,
    async published() {
      await ledger.checkpoint();
      const [log] = await ledger.logs();
      while (ledger.publishing()?.size !== log?.size) await new Promise((resolve) => setTimeout(resolve, 100));
    },
    close: () => ledger.close().finally(() => storage.close()),
  };
}

let made = 0;
function entry(): LedgerEntry {
  const id = `act_${String(made++).padStart(12, '0')}`;
  return {
    record: {
      ...{ kind: 'dispatch', action_id: id, operation: 'tools/call', agent: 'agent-support-refunds-prod' },
      actor_chain: [
        { sub: 'spiffe://example.test/env/production/agent/agent-support-refunds-prod', profile: 'ai_agent' },
      ],
      ...{ requested_by: 'person:ana@example.test', on_behalf_of: null, task: `tsk_${made % 1_000}` },
      ...{ intent: 'refund order 1042, which arrived broken', model_provider: 'example', model: 'example-1' },
      ...{ environment: 'production', template: 'refund-order', tool: 'shop/refund' },
      tool_definition: `sha256-${'a'.repeat(64)}`,
      resource: String(made % 5_000),
      decision: {
        ...{ effect: 'allow', tier: 2, code: 'allowed', reason: 'Permitted by the template.' },
        ...{ policies: ['template.refund-order'], policyVersion: 'b'.repeat(64) },
      },
      ...{ labels: [], approval: null, credentials: [], ticket: null, change_request: null, result: null, changes: [] },
      detail: null,
    },
    arguments: { order: made % 5_000, amount_cents: 1_200, currency: 'EUR', reason: 'arrived broken' },
  } as LedgerEntry;
}

/** Keeps `atOnce` appends waiting until `isDone`; gives how many became durable. */
async function keepBusy(ledger: Ledger, atOnce: number, isDone: (count: number) => boolean): Promise<number> {
  let count = 0;
  const lane = async () => {
    while (!isDone(count)) {
      await ledger.append(entry());
      count += 1;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return count;
}

async function fill(ledger: Ledger, to: number, atOnce: number, name: string): Promise<void> {
  const size = (await ledger.logs())[0]?.size ?? 0;
  if (to <= size) return;
  const lanes = Math.min(atOnce, to - size);
  let told = 0;
  await keepBusy(ledger, lanes, (count) => {
    if (count >= told + 100_000) {
      told = count;
      process.stderr.write(`\r${name}: ${said(size + count)} of ${said(to)}   `);
    }
    return count >= to - size - lanes;
  });
  if (told > 0) process.stderr.write('\n');
}

/** Processor time of this process, its threads included: what other work on the machine does not change much. */
async function cpuSeconds(work: () => Promise<unknown>): Promise<number> {
  const from = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(from);
  return (user + system) / 1e6;
}

async function verifyIt(
  { ledger, place, published }: Awaited<ReturnType<typeof open>>,
  add: (what: string, value: number, unit: string) => void,
): Promise<void> {
  await published();
  const [log] = await ledger.logs();
  const begun = performance.now();
  const cpu = await cpuSeconds(async () => {
    const report = await verifyPublished({
      source: directorySource(join(place, 'one')),
      vkey: log?.vkey ?? '',
      sha256: nodeSha256,
    });
    if (!report.ok) throw new Error(JSON.stringify(report.fault));
  });
  add(`verify a published log of ${said(log?.size ?? 0)}`, (performance.now() - begun) / 1_000, 's');
  add('that is, of processor time', cpu, 's');
  add('and for a million records', (cpu / (log?.size ?? 1)) * 1e6, 's');
}

interface Rate {
  perSecond: number;
  cpuMicroseconds: number;
}

async function rates(ledger: Ledger, rounds: number, seconds: number, atOnce: number): Promise<Rate> {
  const found: Rate[] = [];
  for (let round = 0; round < rounds; round++) {
    const begun = performance.now();
    let count = 0;
    const cpu = await cpuSeconds(async () => {
      count = await keepBusy(ledger, atOnce, () => performance.now() - begun > seconds * 1_000);
    });
    found.push({ perSecond: count / ((performance.now() - begun) / 1_000), cpuMicroseconds: (cpu / count) * 1e6 });
  }
  return {
    perSecond: median(found.map((each) => each.perSecond)),
    cpuMicroseconds: median(found.map((each) => each.cpuMicroseconds)),
  };
}

async function behind(ledger: Ledger, atOnce: number): Promise<number> {
  const begun = performance.now();
  await keepBusy(ledger, atOnce, () => performance.now() - begun > 1_000);
  const last = performance.now();
  await ledger.checkpoint();
  return performance.now() - last;
}

async function receipts(ledger: Ledger, count: number): Promise<number[]> {
  const [log] = await ledger.logs();
  const times: number[] = [];
  for (let at = 0; at < count; at++) {
    const begun = performance.now();
    const receipt = await ledger.receipt(log?.id ?? '', Math.floor((at / count) * ((log?.size ?? 1) - 1)));
    if (!receipt) throw new Error('there is no receipt');
    times.push(performance.now() - begun);
  }
  return times.sort((a, b) => a - b);
}
