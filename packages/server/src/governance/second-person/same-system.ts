import type { ToolServerManifest } from '@gatehouse/protocol';

type Server = Pick<ToolServerManifest, 'transport'>;

/**
 * Whether a server could reach the system of another one that is guarded: a host, a value, a directory or a secret in common; a program, where
 * that is all that the guarded one has. On the safe side, but for what no manifest shows: another name that leads to the same address.
 */
export function reachesTheSame(server: Server, guarded: Server): boolean {
  const [given, known] = [marksOf(server.transport), marksOf(guarded.transport)];
  const all = new Set([...given.marks, ...given.program]);
  return (known.marks.length > 0 ? known.marks : known.program).some((mark) => all.has(mark));
}

/** Shorter ones are switches. */
const TELLING_CHARS = 6;

/** Flags tell nothing, and a path in the directory that a process has to itself is no system. */
const tells = (text: string) =>
  text.length >= TELLING_CHARS && !text.startsWith('-') && !text.includes('{workingDirectory}');

function marksOf(transport: Server['transport']): { program: string[]; marks: string[] } {
  if (transport.type === 'http')
    return { program: [], marks: [...hostOf(transport.url), ...secretsOf(transport.authorization)] };
  const { command, args, env, directories } = transport;
  const [program = command, ...rest] = args;
  const texts = [...rest, ...Object.values(env), ...directories.map(({ path }) => path)];
  const marks = texts
    .map((text) => text.replace(/^-+[\w-]+=/, ''))
    .filter(tells)
    .flatMap((text) => [`text ${text}`, ...hostOf(text)]);
  return { program: [`text ${program}`, ...hostOf(program)], marks };
}

/** On this machine everything is one host: there the port tells systems apart. */
function hostOf(text: string): string[] {
  const { hostname = '', port = '' } = URL.parse(text) ?? {};
  const host = hostname.toLowerCase().replace(/\.$/, '');
  if (host === '') return [];
  return [/^(localhost|127\..*|\[::1\])$/.test(host) ? `host here:${port}` : `host ${host}`];
}

const secretNames = new Set(['clientSecret', 'clientKey', 'assertion', 'subjectToken', 'secret']);

/** Names of stored secrets, wherever in it they stand. */
function secretsOf(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    typeof inner === 'string' ? (secretNames.has(key) ? [`secret ${inner}`] : []) : secretsOf(inner),
  );
}
