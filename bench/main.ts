import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { benchCalls } from './call.ts';
import { benchSize } from './size.ts';

/**
 * `npm run bench [-- --seconds 4 --rounds 5 --concurrency 1,8,32 --without-peers --json --write]`: P2 (a gated call) and P6 (size).
 * `npm run bench -- svid` is P5 (SVIDs a second).
 * All targets run in one go and in turn; medians of the rounds are given. `--write` updates bench/RESULTS.md.
 */
if (process.argv[2] === 'svid') {
  process.argv.splice(2, 1);
  await import('./svid.ts');
  process.exit(0);
}
const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '4' },
    rounds: { type: 'string', default: '5' },
    concurrency: { type: 'string', default: '1,8,32' },
    'without-peers': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
});
const calls = await benchCalls({
  seconds: Number(values.seconds),
  rounds: Number(values.rounds),
  concurrencies: values.concurrency.split(',').map(Number),
  peers: !values['without-peers'],
});
const size = await benchSize(Number(values.rounds));
if (values.json) console.log(JSON.stringify({ node: process.version, calls, size }, null, 2));

const proxyAt = (concurrency: number) =>
  calls.find((row) => row.target.startsWith('bare proxy') && row.concurrency === concurrency);
const table = [
  '| target | at once | calls/s | p50 ms | p99 ms | × bare proxy | errors |',
  '|---|--:|--:|--:|--:|--:|--:|',
  ...calls.map(({ target, concurrency, perSecond, p50Ms, p99Ms, errors }) => {
    const ratio = perSecond / (proxyAt(concurrency)?.perSecond ?? Number.NaN);
    return `| ${target} | ${concurrency} | ${Math.round(perSecond)} | ${p50Ms.toFixed(2)} | ${p99Ms.toFixed(2)} | ${ratio.toFixed(2)} | ${errors} |`;
  }),
].join('\n');
const megabytes = (bytes: number) => (bytes / 1024 / 1024).toFixed(0);
const sizes = `| start to first answer | idle memory | console, first load |\n|--:|--:|--:|\n| ${Math.round(size.startMs)} ms | ${megabytes(size.idleBytes)} MB | ${(size.consoleFirstLoadBytes / 1000).toFixed(0)} kB gzip |`;
const page = `# Measured

Machines are noisy: compare within one table, which is of one run with all targets in turn, and trust ratios more than absolutes.

## P2: a gated call

\`npm run bench -- --seconds ${values.seconds} --rounds ${values.rounds} --write\`, ${new Date().toISOString().slice(0, 10)}, ${cpus().length} cores (${cpus()[0]?.model ?? ''}), Node ${process.version}.
Client, gate and upstream are processes of their own on these cores. SQLite, one process, 20 policies, no labels; every call is decided by policy, its
dispatch is on disk (fsync) before it leaves, its outcome recorded; arguments differ in every call. mcp-proxy and supergateway stand before a stdio
echo server, because that is what they are for; the row "Gatehouse before a stdio server" is to be compared with them.

${table}

## P6: size

The built server on the quick-start workspace, data directory there already.

${sizes}
`;
if (!values.json) console.log(page);
const results = join(import.meta.dirname, 'RESULTS.md');
/** What other commands have measured stays. */
const others = /\n## P5[\s\S]*$/.exec(readFileSync(results, 'utf8'))?.[0] ?? '';
if (values.write) writeFileSync(results, page + others);
process.exit(0);
