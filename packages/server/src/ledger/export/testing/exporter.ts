import { openExportHouse } from './house.ts';

/** A replica in a process of its own, to be killed: records calls and delivers to one sink, and says when nothing waits any more. */
const [, , database, dataDir, replica, url, count] = process.argv as unknown as [
  string,
  string,
  string,
  string,
  string,
  string,
  string,
];
const house = await openExportHouse({ database, dataDir, replica });
await house.apply({
  name: 'hook',
  format: 'json-lines',
  to: { type: 'webhook', url, secret: 'hook' },
  allowPrivateAddress: true,
  batchRecords: 20,
  from: 'beginning',
});
process.stdout.write('started\n');
await house.act(Number(count));
process.stdout.write('recorded\n');
while ((await house.sinks.show('hook')).backlog > 0) await new Promise((resolve) => setTimeout(resolve, 20));
process.stdout.write('done\n');
