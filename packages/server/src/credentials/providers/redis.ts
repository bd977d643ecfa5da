import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { ProviderAbilities, RedisKeys, RedisScope, RedisSource } from '@gatehouse/protocol';
import { GatehouseError, Secret } from '../../platform/index.ts';
import type { Left, Made, Order, Provider } from '../leases/types.ts';
import { hostOf } from './host-of.ts';
import { type NewPassword, signIn } from './new-password.ts';
import { withoutTls } from './without-tls.ts';

const ABILITIES: ProviderAbilities = {
  ...{ canNarrow: true, canRevoke: true, canEndSessions: true, maxResidualSeconds: 0 },
  endsOnlyByGatehouse: true,
};
const POLL_MS = 20;
/** They have no key that a pattern could bound, and act on or tell of all keys. A category does not bring them; by name they are given. */
const BEYOND_PATTERNS = ['scan', 'randomkey', 'dbsize', 'keys', 'flushdb', 'flushall', 'swapdb', 'pubsub'];
/** Categories and whole commands bring them: code that other users run with their own rights, and word of every key that changes. */
const NEVER = ['function', 'script', 'client|tracking'];

/**
 * A user for each lease, with keys, commands and channels and nothing else, made by one command and so never half. Ended in an order in which
 * nothing slips through: it is turned off, its connections are ended, it is deleted, and that is looked for and saved.
 */
export function openRedisProvider(
  settings: RedisSource,
  password: () => Promise<Secret>,
  newPassword?: NewPassword,
): Provider {
  const url = new URL(settings.url);
  const user = decodeURIComponent(url.username);

  async function connect(secret: Secret) {
    const { createClient } = await import('@redis/client');
    const socket = {
      ...{ host: hostOf(url), port: Number(url.port || 6379), connectTimeout: 5_000 },
      reconnectStrategy: false as const,
    };
    const client = createClient({
      ...{ username: user, password: secret.reveal(), RESP: 2 },
      ...{ disableClientInfo: true, disableOfflineQueue: true },
      socket:
        settings.tls === 'off' ? socket : { ...socket, tls: true, ...(settings.tls.ca && { ca: settings.tls.ca }) },
    });
    client.on('error', () => undefined);
    await client.connect().catch((error) => {
      if (client.isOpen) client.destroy();
      // What knows no TLS waits for more of what it takes for a command.
      throw settings.tls !== 'off' && error.message === 'Connection timeout' ? withoutTls(url.host) : error;
    });
    return client;
  }

  /** Also saved: whoever gave it to the user may have died before that, and a restart there would bring back the one before. */
  async function tryOut(secret: Secret): Promise<void> {
    const client = await connect(secret);
    try {
      await client.sendCommand(['ACL', 'SAVE']);
    } finally {
      client.destroy();
    }
  }

  /** A connection for one piece of work, so that a changed password is used at once and nothing idles. */
  async function within<T>(signal: AbortSignal, work: (run: Run) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const client = await signIn({ password, newPassword, connect, isRefused, tryOut });
    const cut = () => client.destroy();
    try {
      signal.addEventListener('abort', cut, { once: true });
      return await work((...words) => {
        signal.throwIfAborted();
        return client.sendCommand(words);
      });
    } finally {
      signal.removeEventListener('abort', cut);
      if (client.isOpen) client.destroy();
    }
  }

  return {
    abilities: ABILITIES,
    findsByName: true,

    create: ({ name, scope }: Order, signal): Promise<Made> =>
      within(signal, async (run) => {
        const secret = randomBytes(24).toString('base64url');
        // What the server keeps of it, so that no log there (MONITOR shows this command, the ACL log may) has the password.
        const hash = hashOf(secret);
        await run(
          'ACL',
          'SETUSER',
          name,
          'reset',
          'on',
          `#${hash}`,
          ...rulesOf(scope as unknown as Required<RedisScope>),
        );
        await save(run);
        return { credential: { username: new Secret(name), password: new Secret(secret) }, revocation: {} };
      }),

    /** Users there have no end of their own that would have to move. */
    renew: ({ name }: Left, _, signal) =>
      within(signal, async (run) => {
        if (!(await isThere(run, name))) throw new Error(`there is no user ${name}`);
        return {};
      }),

    revoke: ({ name }: Left, signal) =>
      within(signal, async (run) => {
        if (await isThere(run, name)) {
          await run('ACL', 'SETUSER', name, 'off');
          await endConnections(run, name);
          await run('ACL', 'DELUSER', name);
          if (await isThere(run, name)) throw new Error(`user ${name} is still there`);
        }
        await endConnections(run, name);
        // Also of one that is gone: a file that still had it would bring it back.
        await save(run);
      }),

    async rotate(next, signal) {
      await within(signal, async (run) => {
        if (!(await save(run)))
          throw new GatehouseError(
            'conflict',
            'secret.not-rotatable',
            'This Redis keeps its users in no ACL file, and would have the old password again when it is restarted. Change it in its configuration, and set it with `gatehouse secrets set`.',
          );
        await run('ACL', 'SETUSER', user, 'resetpass', `#${hashOf(next.reveal())}`);
      });
      await tryOut(next);
    },

    check: (signal) =>
      within(signal, async (run) => {
        await run('ACL', 'GETUSER', 'gh_nobody');
        await connectionsOf(run, 'gh_nobody');
        // Of no connection and no user: only whether it may.
        await run('CLIENT', 'KILL', 'ID', String(Number.MAX_SAFE_INTEGER));
        await run('ACL', 'DELUSER', 'gh_nobody');
      }),

    close: async () => undefined,
  };
}

const isRefused = (error: unknown): boolean => (error as Error).message.startsWith('WRONGPASS');
const hashOf = (password: string): string => createHash('sha256').update(password).digest('hex');

type Run = (...words: string[]) => Promise<unknown>;

const isThere = async (run: Run, name: string): Promise<boolean> => (await run('ACL', 'GETUSER', name)) !== null;

/** Later rules win: nothing that follows takes back that no command of `@admin` is ever given. */
function rulesOf({ keys, commands, channels }: Required<RedisScope>): string[] {
  const isCategory = (command: string) => command.startsWith('@');
  return [
    ...keys.map(({ pattern, access }: RedisKeys) => {
      const rights = `${access.includes('read') ? 'R' : ''}${access.includes('write') ? 'W' : ''}`;
      return `%${rights}~${pattern}`;
    }),
    ...channels.map((pattern) => `&${pattern}`),
    ...commands.filter(isCategory).map((category) => `+${category}`),
    '-@dangerous',
    ...BEYOND_PATTERNS.map((command) => `-${command}`),
    ...commands.filter((each) => !isCategory(each)).map((command) => `+${command}`),
    '-@admin',
    ...NEVER.map((command) => `-${command}`),
  ];
}

/** Where the server keeps its users in a file. Elsewhere (false) they are in memory only, and gone when it starts again. */
async function save(run: Run): Promise<boolean> {
  try {
    await run('ACL', 'SAVE');
    return true;
  } catch (error) {
    if (!/not configured to use an ACL file/.test((error as Error).message)) throw error;
    return false;
  }
}

async function connectionsOf(run: Run, name: string): Promise<string[]> {
  const lines = String(await run('CLIENT', 'LIST')).split('\n');
  return lines
    .filter((line) => line.split(' ').includes(`user=${name}`))
    .map((line) => /\bid=(\d+)/.exec(line)?.[1] ?? '');
}

/** Ends all connections of a user and waits until the server has none of them. */
async function endConnections(run: Run, name: string): Promise<void> {
  for (;;) {
    const ids = await connectionsOf(run, name);
    if (ids.length === 0) return;
    for (const id of ids) await run('CLIENT', 'KILL', 'ID', id);
    await delay(POLL_MS);
  }
}
