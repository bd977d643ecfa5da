import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { freePort } from '../test/support/free-port.ts';
import type { LoadRequest, LoadResult } from './load.ts';
import { type Measure, median, table } from './measure.ts';
import { runLoad, startPeer, startTarget, type Target, usageOf } from './processes.ts';

export const measure: Measure = {
  heading: 'P2: a gated call',
  options: { seconds: '4', rounds: '5', warm: '10', concurrency: '1,8,32', 'without-peers': 'false' },
  async run(options) {
    const rows = await benchCalls({
      seconds: Number(options.seconds),
      rounds: Number(options.rounds),
      warmSeconds: Number(options.warm),
      concurrencies: (options.concurrency ?? '').split(',').map(Number),
      peers: options['without-peers'] !== 'true',
    });
    const proxyAt = (concurrency: number) =>
      rows.find((row) => row.target.startsWith('bare proxy') && row.concurrency === concurrency)?.perSecond ??
      Number.NaN;
    return {
      rows,
      how: `Each target is called for ${options.warm} s first. Client, gate and upstream are processes of their own on these cores. SQLite, one process, 1,000 policies of which a dozen are about the
call; the tool's results are labelled (untrusted, personal data), so that every call is decided by what its task has read too. Every dispatch is on disk (fsync) before
it leaves, every outcome is recorded; arguments differ in every call. CPU is that of the process in the row, with all its threads, for each call. mcp-proxy and supergateway stand before a stdio
echo server, because that is what they are for; the row "Gatehouse before a stdio server" is to be compared with them.`,
      tables: table(
        ['target', 'at once', 'calls/s', 'p50 ms', 'p99 ms', '× bare proxy', 'CPU ms a call', 'errors'],
        rows.map((row) => [
          row.target,
          row.concurrency,
          Math.round(row.perSecond),
          row.p50Ms.toFixed(2),
          row.p99Ms.toFixed(2),
          (row.perSecond / proxyAt(row.concurrency)).toFixed(2),
          row.cpuMs.toFixed(2),
          row.errors,
        ]),
      ),
    };
  },
};

/** One echo call, direct and through each gate, round by round in turn, so that a slow minute hits all alike. */
interface CallRow {
  target: string;
  concurrency: number;
  /** Medians over the rounds. */
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
  /** Of the process that is called, and of none behind it. */
  cpuMs: number;
  errors: number;
  rounds: number;
}

type Timed = LoadResult & Pick<CallRow, 'cpuMs'>;

async function timed({ child }: Target, request: LoadRequest): Promise<Timed> {
  const before = usageOf(child).cpuMs;
  const result = await runLoad(request);
  return { ...result, cpuMs: (usageOf(child).cpuMs - before) / Math.max(1, result.answered) };
}

const require = createRequire(import.meta.url);
const stdioEcho = join(import.meta.dirname, 'targets', 'echo-stdio.ts');

async function benchCalls(options: {
  seconds: number;
  rounds: number;
  /** Each target is called for so long first: a fresh process spends a third of its time on compiling. */
  warmSeconds: number;
  concurrencies: number[];
  peers: boolean;
}): Promise<CallRow[]> {
  const targets: Target[] = [];
  const keep = (target: Target) => {
    targets.push(target);
    return target;
  };
  const proofs = Math.ceil(9_000 * (options.seconds + 1) * 0.5);
  try {
    const upstream = keep(await startTarget('echo-http'));
    const proxy = keep(await startTarget('bare-proxy', [upstream.line]));
    const gate = keep(await startTarget('gate', ['http', upstream.line]));
    const gateStdio = keep(await startTarget('gate', ['stdio', stdioEcho]));
    const { url, bearer } = JSON.parse(gate.line) as { url: string; bearer: string };
    const stdio = JSON.parse(gateStdio.line) as { url: string; bearer: string };
    const authorization = { authorization: `Bearer ${bearer}` };
    const rows: { name: string; run(concurrency: number): Promise<Timed> }[] = [];
    const warmers: LoadRequest[] = [];
    const plain = (
      name: string,
      target: Target,
      address: string,
      era: '2025-11-25' | '2026-07-28',
      headers: Record<string, string> = {},
    ) => {
      const request = { url: address, era, headers };
      warmers.push({ ...request, concurrency: 32, seconds: options.warmSeconds });
      rows.push({
        name,
        run: (concurrency) => timed(target, { ...request, concurrency, seconds: options.seconds }),
      });
    };
    plain('direct', upstream, upstream.line, '2026-07-28');
    plain('bare proxy (undici dispatch)', proxy, proxy.line, '2026-07-28');
    plain('Gatehouse, 2026-07-28, bearer', gate, url, '2026-07-28', authorization);
    plain('Gatehouse, 2025-11-25, bearer', gate, url, '2025-11-25', authorization);
    rows.push({
      name: 'Gatehouse, 2026-07-28, DPoP',
      async run(concurrency) {
        const { token, proofs: fresh } = await freshProofs(gate, proofs);
        return timed(gate, {
          url,
          era: '2026-07-28',
          headers: { authorization: `DPoP ${token}` },
          proofs: fresh,
          concurrency,
          seconds: options.seconds,
        });
      },
    });
    plain('Gatehouse before a stdio server', gateStdio, stdio.url, '2025-11-25', {
      authorization: `Bearer ${stdio.bearer}`,
    });
    if (options.peers) {
      const [proxyPort, gatewayPort] = [await freePort(), await freePort()];
      const proxyUrl = `http://127.0.0.1:${proxyPort}/mcp`;
      const mcpProxy = keep(
        await startPeer(
          binOf('mcp-proxy'),
          ['--port', String(proxyPort), '--host', '127.0.0.1', '--server', 'stream', '--', process.execPath, stdioEcho],
          proxyUrl,
        ),
      );
      plain('npm mcp-proxy (stdio server)', mcpProxy, proxyUrl, '2025-11-25');
      const gatewayUrl = `http://127.0.0.1:${gatewayPort}/mcp`;
      const command = `${process.execPath} ${stdioEcho}`;
      const supergateway = keep(
        await startPeer(
          binOf('supergateway'),
          ['--stdio', command, '--outputTransport', 'streamableHttp', '--stateful', '--port', String(gatewayPort)],
          gatewayUrl,
        ),
      );
      plain('npm supergateway (stdio server)', supergateway, gatewayUrl, '2025-11-25');
    }
    if (options.warmSeconds > 0) for (const request of warmers) await runLoad(request);
    const results = new Map<string, Timed[]>();
    for (let round = 1; round <= options.rounds; round++) {
      for (const concurrency of options.concurrencies) {
        for (const { name, run } of round % 2 === 1 ? rows : rows.toReversed()) {
          process.stderr.write(
            `\rround ${round}/${options.rounds}, ${concurrency} at once: ${name}                    `,
          );
          const result = await run(concurrency);
          if (result.firstError)
            process.stderr.write(`\n  ${name}: ${result.errors} errors, first: ${result.firstError}\n`);
          const key = `${name}\n${concurrency}`;
          results.set(key, [...(results.get(key) ?? []), result]);
        }
      }
    }
    process.stderr.write('\n');
    return [...results].map(([key, all]) => {
      const [target = '', concurrency = ''] = key.split('\n');
      const middle = (of: (result: Timed) => number) => median(all.map(of));
      return {
        target,
        concurrency: Number(concurrency),
        perSecond: middle(({ perSecond }) => perSecond),
        p50Ms: middle(({ p50Ms }) => p50Ms),
        p99Ms: middle(({ p99Ms }) => p99Ms),
        cpuMs: middle(({ cpuMs }) => cpuMs),
        errors: all.reduce((sum, { errors }) => sum + errors, 0),
        rounds: all.length,
      };
    });
  } finally {
    for (const target of targets.reverse()) await target.stop();
  }
}

function freshProofs(gate: Target, count: number): Promise<{ token: string; proofs: string[] }> {
  return new Promise((resolve) => {
    gate.child.once('message', (message) => resolve((message as { dpop: { token: string; proofs: string[] } }).dpop));
    gate.child.send({ proofs: count });
  });
}

function binOf(name: string): string {
  const manifest = require.resolve(`${name}/package.json`);
  const { bin } = require(manifest) as { bin: string | Record<string, string> };
  return join(dirname(manifest), typeof bin === 'string' ? bin : (bin[name] ?? Object.values(bin)[0] ?? ''));
}
