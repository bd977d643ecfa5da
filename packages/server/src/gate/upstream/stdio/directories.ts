import { existsSync, mkdirSync, readdirSync, realpathSync, rmSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import type { ToolServerManifest } from '@gatehouse/protocol';
import { GatehouseError, sha256Hex } from '../../../platform/index.ts';

export type StdioTransport = Extract<ToolServerManifest['transport'], { type: 'stdio' }>;

export interface Grant {
  path: string;
  access: 'ro' | 'rw';
}

/**
 * Where stdio servers may be: each task has a directory of its own below `upstreams/SERVER/`, which ends with the task. A granted
 * directory may lie in our data directory only below `shared/`.
 */
export const upstreamsIn = (dataDir: string): string => join(dataDir, 'upstreams');

const safeName = (name: string): string => (/^[A-Za-z0-9_-]{1,100}$/.test(name) ? name : sha256Hex(name).slice(0, 32));

export function workingDirectory(dataDir: string, server: string, owner: string): string {
  const path = join(upstreamsIn(dataDir), safeName(server), safeName(owner));
  mkdirSync(path, { recursive: true, mode: 0o700 });
  return realpathSync(path);
}

export function removeWorkingDirectory(dataDir: string, server: string, owner: string): void {
  rmSync(join(upstreamsIn(dataDir), safeName(server), safeName(owner)), { recursive: true, force: true });
}

/** Of every server; whatever the task has left there is gone. */
export function removeTaskDirectories(dataDir: string, task: string): void {
  const upstreams = upstreamsIn(dataDir);
  if (!existsSync(upstreams)) return;
  for (const server of readdirSync(upstreams)) removeWorkingDirectory(dataDir, server, task);
}

export const contains = (outer: string, inner: string): boolean => {
  const path = relative(outer, inner);
  return path === '' || (!path.startsWith('..') && !isAbsolute(path));
};

/** The granted directories as they really are. Throws GatehouseError when one leads to our own data. */
export function resolveGrants(dataDir: string, server: string, transport: StdioTransport): Grant[] {
  const own = realpathSync(dataDir);
  const shared = join(own, 'shared');
  return transport.directories.map(({ path, access }) => {
    if (!isAbsolute(path)) throw badGrant(server, path, 'is not an absolute path');
    let real: string;
    try {
      real = realpathSync(path);
    } catch (cause) {
      throw badGrant(server, path, 'does not exist', cause);
    }
    if (!statSync(real).isDirectory()) throw badGrant(server, path, 'is no directory');
    const inside = contains(own, real) && !contains(shared, real);
    if (inside || contains(real, own)) throw badGrant(server, path, "holds Gatehouse's own data");
    return { path: real, access };
  });
}

const badGrant = (server: string, path: string, why: string, cause?: unknown) =>
  new GatehouseError(
    'bad-request',
    'upstream.directory',
    `The directory ${path} granted to tool server ${server} ${why}. Correct transport.directories in its manifest.`,
    { cause },
  );

/**
 * What a program needs to be read: its package, or its own directory, and every `node_modules` above it. Never a directory so wide
 * that it holds our data or somebody's home.
 */
export function codeDirectories(dataDir: string, program: string): string[] {
  const own = realpathSync(dataDir);
  const tooWide = (path: string) => contains(path, own) || contains(path, homedir()) || contains(own, path);
  const real = realpathSync(program);
  const ancestors: string[] = [];
  for (let at = dirname(real); ; at = dirname(at)) {
    ancestors.push(at);
    if (at === dirname(at)) break;
  }
  const holds = (name: string) => (path: string) => statSync(join(path, name), { throwIfNoEntry: false }) !== undefined;
  const root = ancestors.find(holds('package.json'));
  const code = [root, dirname(real)].find((path) => path !== undefined && !tooWide(path)) ?? real;
  const modules = ancestors
    .map((path) => (basename(path) === 'node_modules' ? path : join(path, 'node_modules')))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true && !tooWide(path))
    .map((path) => realpathSync(path));
  return outermost([code, ...modules]);
}

/** Without those that lie in another one. */
export function outermost(paths: string[]): string[] {
  const unique = [...new Set(paths)];
  return unique.filter((path) => !unique.some((other) => other !== path && contains(other, path)));
}

/** The absolute path of a command. `node` is the runtime that runs us. */
export function resolveCommand(server: string, command: string): string {
  if (command === 'node') return process.execPath;
  if (isAbsolute(command)) return command;
  if (!command.includes('/')) {
    for (const directory of (process.env.PATH ?? '').split(':')) {
      if (!isAbsolute(directory)) continue;
      const path = resolve(directory, command);
      if (statSync(path, { throwIfNoEntry: false })?.isFile() === true) return path;
    }
  }
  throw new GatehouseError(
    'bad-request',
    'upstream.command',
    `The command ${command} of tool server ${server} is not found. Give its absolute path, or install it where PATH leads.`,
  );
}
