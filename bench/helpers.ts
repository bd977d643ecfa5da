import { fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { helperKinds, helperScript } from '../packages/cli/src/credentials/helpers.ts';
import { type Measure, median, quantile, table } from './measure.ts';

/** What a client waits for a credential that the local process has in hand: from the start of the helper to its end. */
export const measure: Measure = {
  heading: 'Helpers of clients',
  options: { runs: '100' },
  async run({ runs = '100' }) {
    const directory = mkdtempSync(join(tmpdir(), 'gatehouse-helpers-'));
    const socket = join(directory, 'c.sock');
    // Elsewhere, as spawnSync stops this process.
    const serving = fork(join(import.meta.dirname, 'targets', 'local-credentials.ts'), [socket], {
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    await once(serving, 'message');
    const rows: [string, number, number][] = [];
    const time = (name: string, command: string, args: string[], input: string, count = Number(runs)) => {
      const times = [];
      for (let at = 0; at < count; at++) {
        const begun = performance.now();
        const { status, stdout } = spawnSync(command, args, { input });
        times.push(performance.now() - begun);
        if (status !== 0 || stdout.length === 0) {
          serving.kill();
          throw new Error(`${name} failed: ${stdout}`);
        }
      }
      const sorted = times.sort((a, b) => a - b);
      rows.push([name, median(times), quantile(sorted, 0.95)]);
    };
    for (const kind of helperKinds) {
      const path = join(directory, kind);
      const provider = kind === 'aws' ? 'aws' : 'token';
      writeFileSync(
        path,
        helperScript(kind, { socket, provider, hosts: ['r.test'], narrow: false, server: undefined }),
      );
      chmodSync(path, 0o700);
      const input = { git: 'protocol=https\nhost=r.test\n\n', docker: 'r.test\n' }[kind as 'git'] ?? '';
      time(kind, path, ['get'], input);
    }
    time(COLD, process.execPath, ['packages/cli/src/main.ts', '--help'], '', Math.ceil(Number(runs) / 5));
    serving.kill();
    rmSync(directory, { recursive: true, force: true });
    return {
      rows,
      how: 'From the start of each helper to its end, with a credential that the local process has in hand; beside it, the start of the command line from source.',
      tables: table(
        ['helper', 'p50 ms', 'p95 ms'],
        rows.map(([name, p50, p95]) => [name, p50.toFixed(0), p95.toFixed(0)]),
      ),
    };
  },
};

const COLD = 'the command line itself, cold';
