import { z } from 'zod';
import { secretName } from '../../names.ts';
import type { CredentialKind } from './kind.ts';
import { meetOf, nothingLeft } from './meet-of.ts';
import { isWithinPattern, redisPattern } from './redis-pattern.ts';

const access = ['read', 'write'] as const;

const redisKeys = z.strictObject({
  pattern: redisPattern,
  access: z
    .array(z.enum(access))
    .min(1)
    .default([...access]),
});
export type RedisKeys = z.infer<typeof redisKeys>;

/** Whoever has one of these can make users, or more of the server than data, which would outlive the credential; or is told of keys beyond it. */
const neverIssued = [
  '@all',
  '@admin',
  '@dangerous',
  'acl',
  'config',
  'debug',
  'module',
  'migrate',
  'function',
  'script',
  'client|tracking',
];

const redisCommand = z
  .string()
  .max(100)
  .regex(
    /^(@[a-z]+|[a-z][a-z0-9._-]*(\|[a-z][a-z-]*)?)$/,
    'is a @category, a command or a command|subcommand, in small letters',
  )
  .refine((command) => !neverIssued.includes(command) && !neverIssued.includes(command.split('|')[0] as string), {
    message: `is never issued: ${neverIssued.join(', ')}`,
  });

const few = { keys: z.array(redisKeys).max(50), commands: z.array(redisCommand).min(1).max(100) };
const channels = z.array(redisPattern).max(50);

export const redisSource = z.strictObject({
  type: z.literal('redis'),
  /** `redis://USER@HOST:PORT`, of a user that may make users and end connections. No password. */
  url: z
    .url()
    .max(1_000)
    .regex(/^redis:\/\/[^:/?#@]+@[^/?#@]+$/, 'is redis://USER@HOST:PORT, without a password'),
  /** Name of the stored secret with the user's password, for `redis://HOST:PORT`. */
  secret: secretName,
  /** Keys that users may have at most. */
  ...few,
  /**
   * Commands that users may have at most. A category gives none that is dangerous or tells of keys beyond the patterns (`scan`, `dbsize` …): such a
   * command is named.
   */
  commands: few.commands,
  /** Channels of publish and subscribe. */
  channels: channels.default([]),
  /** `off` only where the server has no TLS: then the network is trusted with passwords and data. */
  tls: z.union([z.literal('off'), z.strictObject({ ca: z.string().max(100_000).optional() })]).default({}),
});
export type RedisSource = z.infer<typeof redisSource>;

/** What of it is asked for: all of what the provider may issue where it says nothing. */
const redisScope = z.strictObject({
  keys: few.keys.optional(),
  commands: few.commands.optional(),
  channels: channels.optional(),
});
export type RedisScope = z.infer<typeof redisScope>;

export const redisKind: CredentialKind<RedisSource, RedisScope> = {
  from: redisSource,
  scope: redisScope,
  parts: () => ['username', 'password'],
  narrow(allowed, { keys = allowed.keys, commands = allowed.commands, channels = allowed.channels }) {
    const missing =
      keys.find((each) => !allowed.keys.some((wide) => isWithinKeys(each, wide)))?.pattern ??
      commands.find((each) => !allowed.commands.some((wide) => isWithinCommand(each, wide))) ??
      channels.find((each) => !allowed.channels.some((wide) => isWithinPattern(each, wide)));
    return missing === undefined
      ? { scope: { keys, commands, channels } }
      : { problem: `This provider issues no ${missing}. Ask for less, or have it added to what it may issue.` };
  },
  meet(a, b) {
    const keys = meetWhere(a.keys, b.keys, meetOfKeys);
    const commands = meetWhere(a.commands, b.commands, narrower(isWithinCommand));
    const channels = meetWhere(a.channels, b.channels, narrower(isWithinPattern));
    if (commands?.length === 0) return nothingLeft('command');
    return { scope: { ...(keys && { keys }), ...(commands && { commands }), ...(channels && { channels }) } };
  },
};

/** By one entry of what is allowed: a command that reads and writes at once needs both of the same entry. */
const isWithinKeys = (narrow: RedisKeys, wide: RedisKeys): boolean =>
  isWithinPattern(narrow.pattern, wide.pattern) && narrow.access.every((each) => wide.access.includes(each));

/** Which commands a category has only the server knows, so a category covers itself alone. */
const isWithinCommand = (narrow: string, wide: string): boolean => narrow === wide || narrow.startsWith(`${wide}|`);

function meetOfKeys(a: RedisKeys, b: RedisKeys): RedisKeys | undefined {
  const pattern = narrower(isWithinPattern)(a.pattern, b.pattern);
  const common = meetOf(a.access, b.access);
  return pattern === undefined || common.length === 0 ? undefined : { pattern, access: common };
}

const narrower =
  (isWithin: (narrow: string, wide: string) => boolean) =>
  (a: string, b: string): string | undefined =>
    isWithin(a, b) ? a : isWithin(b, a) ? b : undefined;

/** What each of one has in common with each of the other. */
function meetWhere<T>(a: readonly T[] | undefined, b: readonly T[] | undefined, meet: (a: T, b: T) => T | undefined) {
  if (!a || !b) return (a ?? b) as T[] | undefined;
  const common = a.flatMap((one) => b.flatMap((other) => meet(one, other) ?? []));
  return [...new Map(common.map((each) => [JSON.stringify(each), each])).values()];
}
