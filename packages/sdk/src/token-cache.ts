import { createHash, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { link, lstat, mkdir, open, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { homedir, hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { GatehouseRequestError } from './errors.ts';

/**
 * Tokens that the processes of one user on one machine share, so that a hundred of them make one request. Files of this user only, in a
 * directory of this user only; beside them the keys that the tokens are bound to. Loads nothing heavy: a token that is there is printed
 * without a server, a key or a library.
 */
export interface TokenCache {
  readonly directory: string;
  /** Undefined when there is none, or what is there is damaged. Throws when others could have read it. */
  read(key: string): Promise<CachedToken | undefined>;
  write(key: string, token: CachedToken): Promise<void>;
  /** Not handed out any more. */
  forget(key: string): Promise<void>;
  /**
   * Runs the work while no other process does the same for this key. A process that was killed with the lock is not waited for; should two
   * run together after all, the worst is one request too many, for files are replaced as a whole.
   */
  alone<T>(key: string, work: () => Promise<T>): Promise<T>;
  /** A private JWK that is made once and then the same for every process. */
  proofKey(name: string, make: () => Promise<string>): Promise<string>;
}

/** All times in milliseconds since the epoch, by the clock of this machine. */
export interface CachedToken {
  task: string;
  token: string;
  tokenType: 'DPoP' | 'Bearer';
  mcpUrl: string;
  /** From when on it is replaced; the same for all, so that one process does it. */
  refreshAt: number;
  expiresAt: number;
  /** How far the server's clock was ahead. */
  skewSeconds: number;
  /** When the server last said that it counts: at its issue, or since. */
  checkedAt: number;
}

/** A token that is handed out by itself (printed, given to another program) is asked about when the server has not vouched for it for so long. */
export const CONFIRM_AFTER_MS = 10_000;

/** A lock that nobody has touched for so long is of a process that is gone or stuck. */
const LOCK_STALE_MS = 20_000;
const LOCK_TOUCH_MS = 4_000;
/** Whoever has waited for so long goes ahead without the lock. */
const LOCK_PATIENCE_MS = 90_000;
const POLL_MS = 40;
/** What killed processes have left is swept away after this. */
const LEFTOVER_MS = 3_600_000;
const MAX_FILE_BYTES = 64 * 1024;

/** `GATEHOUSE_CACHE_DIR`, or where the system keeps what can be lost. */
export function defaultCacheDirectory(env: Record<string, string | undefined> = process.env): string {
  if (env.GATEHOUSE_CACHE_DIR) return env.GATEHOUSE_CACHE_DIR;
  if (process.platform === 'win32')
    return join(env.LOCALAPPDATA ?? join(homedir(), 'AppData', 'Local'), 'gatehouse', 'tokens');
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'gatehouse', 'tokens');
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'gatehouse', 'tokens');
}

/** A name for a file: the same for the same parts, whatever the order of members. */
export function cacheKey(parts: unknown): string {
  const sorted = JSON.stringify(parts, (_name, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
  return createHash('sha256').update(sorted).digest('hex').slice(0, 40);
}

export function createTokenCache(directory = defaultCacheDirectory()): TokenCache {
  const running = new Map<string, Promise<unknown>>();
  let isReady: Promise<void> | undefined;
  const ready = () => {
    isReady ??= prepare(directory).catch((error: unknown) => {
      isReady = undefined;
      throw error;
    });
    return isReady;
  };
  const fileOf = (key: string) => join(directory, `${key}.json`);

  async function replace(path: string, text: string): Promise<void> {
    const temporary = `${path}.${process.pid}.${randomBytes(6).toString('hex')}.tmp`;
    await writePrivate(temporary, text);
    await rename(temporary, path);
  }

  async function locked<T>(key: string, work: () => Promise<T>): Promise<T> {
    await ready();
    const lock = await take(join(directory, `${key}.lock`));
    try {
      return await work();
    } finally {
      await lock?.release();
    }
  }

  return {
    directory,
    async read(key) {
      await ready();
      const text = await readPrivate(fileOf(key));
      return text === undefined ? undefined : parse(text);
    },
    async write(key, token) {
      await ready();
      await replace(fileOf(key), JSON.stringify(token));
      await sweep(directory);
    },
    forget: (key) => rm(fileOf(key), { force: true }),
    async alone<T>(key: string, work: () => Promise<T>): Promise<T> {
      const before = running.get(key);
      const turn = (before ?? Promise.resolve()).catch(() => undefined).then(() => locked(key, work));
      running.set(key, turn);
      try {
        return await turn;
      } finally {
        if (running.get(key) === turn) running.delete(key);
      }
    },
    async proofKey(name, make) {
      await ready();
      const path = join(directory, `${name}.jwk`);
      const known = await readPrivate(path);
      if (known !== undefined) return known;
      const temporary = `${path}.${process.pid}.${randomBytes(6).toString('hex')}.tmp`;
      await writePrivate(temporary, await make());
      // Linking never replaces: of two that make one together, the first counts.
      await link(temporary, path).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
      });
      await rm(temporary, { force: true });
      return (await readPrivate(path)) as string;
    },
  };
}

async function prepare(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const found = await lstat(directory);
  if (!found.isDirectory()) throw unsafe(directory, 'is no directory', `remove it`);
  if (process.platform === 'win32') return;
  if (found.uid !== process.getuid?.())
    throw unsafe(directory, 'belongs to another user', 'set GATEHOUSE_CACHE_DIR to a directory of your own');
  if ((found.mode & 0o077) !== 0) throw unsafe(directory, 'is open to others', `chmod 700 ${directory}`);
}

async function writePrivate(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(text);
  } finally {
    await file.close();
  }
}

/** Never through a link, and only what nobody else could have read or put there. */
async function readPrivate(path: string): Promise<string | undefined> {
  const file = await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0)).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error.code === 'ELOOP' ? unsafe(path, 'is a link', `rm ${path}`) : error;
    },
  );
  if (!file) return undefined;
  try {
    const { mode, size, uid } = await file.stat();
    if (process.platform !== 'win32' && ((mode & 0o077) !== 0 || uid !== process.getuid?.()))
      throw unsafe(path, 'can be read by others', `rm ${path}`);
    return size > MAX_FILE_BYTES ? '' : await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

const unsafe = (path: string, what: string, todo: string) =>
  new GatehouseRequestError(0, 'cache.unsafe', `${path} ${what}, so no token is kept there. Run: ${todo}`);

function parse(text: string): CachedToken | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { task, token, tokenType, mcpUrl, refreshAt, expiresAt, skewSeconds, checkedAt = 0 } = value as CachedToken;
  const isWhole =
    [task, token, tokenType, mcpUrl].every((each) => typeof each === 'string') &&
    [refreshAt, expiresAt, skewSeconds, checkedAt].every((each) => typeof each === 'number');
  return isWhole ? { task, token, tokenType, mcpUrl, refreshAt, expiresAt, skewSeconds, checkedAt } : undefined;
}

async function take(path: string): Promise<{ release(): Promise<void> } | undefined> {
  const mine = `${process.pid} ${hostname()} ${randomBytes(8).toString('hex')}`;
  const until = Date.now() + LOCK_PATIENCE_MS;
  while (Date.now() < until) {
    try {
      await writePrivate(path, mine);
      const timer = setInterval(() => void utimes(path, new Date(), new Date()).catch(() => undefined), LOCK_TOUCH_MS);
      timer.unref();
      return {
        async release() {
          clearInterval(timer);
          // Taken from us for stale: it is another's now.
          if ((await textOf(path)) === mine) await rm(path, { force: true });
        },
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    await breakStale(path);
    await sleep(POLL_MS * (0.5 + Math.random()));
  }
  return undefined;
}

async function breakStale(path: string): Promise<void> {
  const [found, text] = await Promise.all([stat(path).catch(() => undefined), textOf(path)]);
  if (!found || text === undefined) return;
  const age = Date.now() - found.mtimeMs;
  const [pid = '', host = ''] = text.split(' ');
  const isGone = host === hostname() && /^\d+$/.test(pid) && !isRunning(Number(pid));
  // Made a moment ago and not yet written: its process is not known.
  if (!isGone && age < LOCK_STALE_MS) return;
  const aside = `${path}.${process.pid}.${randomBytes(6).toString('hex')}.tmp`;
  await rename(path, aside).catch(() => undefined);
  // Somebody was quicker, and this is the lock of the next one: it gets it back.
  const moved = await textOf(aside);
  if (moved !== undefined && moved !== text) await link(aside, path).catch(() => undefined);
  await rm(aside, { force: true });
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

const textOf = (path: string) => readFile(path, 'utf8').catch(() => undefined);

/** Tokens that have run out, and what killed processes have left half-written. */
async function sweep(directory: string): Promise<void> {
  const before = Date.now() - LEFTOVER_MS;
  for (const name of await readdir(directory)) {
    if (!/\.(tmp|json|lock)$/.test(name)) continue;
    const path = join(directory, name);
    const found = await stat(path).catch(() => undefined);
    if (found && found.mtimeMs < before) await rm(path, { force: true });
  }
}
