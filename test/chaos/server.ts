import { enableCompileCache, flushCompileCache } from 'node:module';
import { dirname, join } from 'node:path';
import type { Config } from '@gatehouse/server';

/**
 * node test/chaos/server.ts CONFIG
 *
 * One replica as a process of its own, to be killed. CONFIG is the JSON of its `Config`; prints `ready` when it listens. It also
 * ends with whoever started it, when its standard input closes. A line there sets its clock, by so many milliseconds.
 */
const config = JSON.parse(process.argv[2] ?? '{}') as Config;
// It is started dozens of times, and half of the work of a start is to compile the same files again.
enableCompileCache(join(dirname(config.dataDir), 'compiled'));
const { createLog, startServer } = await import('@gatehouse/server');
let offsetMs = 0;
process.stdin.once('end', () => process.exit(1));
process.stdin.on('data', (line: Buffer) => {
  offsetMs = Number(line.toString());
});
const log = createLog('info', (line) => {
  if (process.env.GATEHOUSE_TEST_LOG) process.stderr.write(`${config.replica} ${line}`);
});
const server = await startServer(config, { log, clock: { now: () => Date.now() + offsetMs } });
process.once('SIGTERM', () => server.close().then(() => process.exit(0)));
process.stdout.write('ready\n');
// Else only a process that ends by itself does, and these are killed.
flushCompileCache();
