import { type Config, createLog, startServer } from '@gatehouse/server';

/**
 * node test/chaos/server.ts CONFIG
 *
 * One replica as a process of its own, to be killed. CONFIG is the JSON of its `Config`; prints `ready` when it listens. It also
 * ends with whoever started it, when its standard input closes. A line there sets its clock, by so many milliseconds.
 */
const config = JSON.parse(process.argv[2] ?? '{}') as Config;
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
