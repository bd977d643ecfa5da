import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { globSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createWatch, markOfRun } from '../test/support/canary.ts';

/**
 * `npm test [-- FILE …] [--data DIR]`: checks, build, then every test. `--data` names a directory with published test data
 * (see CONTRIBUTING.md); tests that need it say so when it is missing.
 */
const root = join(import.meta.dirname, '..');
const args = process.argv.slice(2);
const dataAt = args.indexOf('--data');
const data = dataAt >= 0 ? args.splice(dataAt, 2)[1] : undefined;
const patterns =
  args.length > 0
    ? args
    : [
        'packages/*/{src,test}/**/*.test.{ts,tsx}',
        'examples/**/*.test.ts',
        'conformance/**/*.test.ts',
        'bench/**/*.test.ts',
        'test/**/*.test.ts',
      ];
const files = patterns.flatMap((pattern) => globSync(pattern, { cwd: root, exclude: ['**/node_modules/**'] })).sort();
const environment = {
  ...process.env,
  GATEHOUSE_TEST_CANARY: markOfRun(),
  // Each file is a process of its own, and most of them load the whole server.
  NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(root, 'node_modules', '.gatehouse', 'compiled'),
  ...(data !== undefined && { GATEHOUSE_DATA: resolve(process.env.INIT_CWD ?? root, data) }),
};

if (args.length === 0) {
  run(['scripts/check.ts']);
  run(['scripts/build.ts']);
}
if (files.length === 0) {
  console.error(`no test file matches ${patterns.join(' ')}`);
  process.exit(64);
}
// A file whose time is over is told to end; one that still holds a thread would then be waited for without end.
// Two that write to one place: of the second nothing is left when the run ends by force.
const reporters = [
  ...['--test-reporter=spec', '--test-reporter-destination=stdout'],
  ...['--test-reporter=./scripts/longest-files.ts', '--test-reporter-destination=stderr'],
];
await test(['--test', '--test-force-exit', '--test-concurrency=2', '--test-timeout=300000', ...reporters, ...files]);

function run(command: string[]): void {
  const { status } = spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', ...command], {
    cwd: root,
    stdio: 'inherit',
    env: environment,
  });
  if (status !== 0) process.exit(status ?? 1);
}

/** As `run`, and all that they print is searched for the secrets of the tests. */
async function test(command: string[]): Promise<void> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...command], {
    cwd: root,
    stdio: ['inherit', 'pipe', 'pipe'],
    env: { ...(process.stdout.isTTY && { FORCE_COLOR: '1' }), ...environment },
  });
  const watch = createWatch();
  let isLeaking = false;
  for (const stream of ['stdout', 'stderr'] as const) {
    let last = '';
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      process[stream].write(text);
      last = `${last.slice(-1_000)}${text}`;
      isLeaking ||= watch.found(last) !== undefined;
    });
  }
  const [status] = (await once(child, 'close')) as [number | null];
  if (isLeaking) console.error('A secret of the tests stands in what they printed: search it for "cnry".');
  process.exitCode = isLeaking ? 1 : (status ?? 1);
}
