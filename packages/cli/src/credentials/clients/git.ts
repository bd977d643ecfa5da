import { loginOf } from '../parts.ts';
import type { LocalClient, Wanted } from '../types.ts';

/**
 * git's credential helper: attributes in, attributes out. Bound to the hosts that it was installed for, so that no other one is sent the credential, and narrowed to the
 * repository that git names (`credential.useHttpPath`).
 */
export const git: LocalClient = {
  name: 'git',
  async answer({ path: [provider = '', verb = 'get'], query, body, waitMs }, broker) {
    const asked = attributesOf(body);
    const hosts = query.getAll('host').map((host) => host.toLowerCase());
    if (!asked.host || !hosts.includes(asked.host.toLowerCase()) || !isSafe(asked)) return { status: 204, body: '' };
    if (verb === 'erase') {
      const lost = broker
        .held()
        .filter((held) => held.provider === provider && loginOf(held, 'git').password === asked.password);
      for (const { lease } of lost) await broker.end(lease);
      return { status: 204, body: '' };
    }
    if (verb !== 'get') return { status: 204, body: '' };
    const wanted = wantedOf(provider, query.get('narrow'), asked);
    if (typeof wanted === 'string') return { status: 400, body: wanted };
    const given = await broker.ask(wanted, waitMs);
    if (given.kind === 'waiting') return { status: 202, body: given.detail };
    if (given.kind === 'refused') return { status: given.status, body: given.detail };
    const { username, password } = loginOf(given, 'git');
    const lines = { username, password, password_expiry_utc: Math.floor(given.expiresAt / 1_000) };
    return {
      status: 200,
      body: Object.entries(lines)
        .map(([name, value]) => `${name}=${value}\n`)
        .join(''),
    };
  },
};

/** In clear only to this machine. */
const isSafe = ({ protocol, host = '' }: Record<string, string>) =>
  protocol === 'https' || (protocol === 'http' && /^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/.test(host));

function wantedOf(
  provider: string,
  narrow: string | null,
  { path, protocol, host }: Record<string, string>,
): Wanted | string {
  if (narrow !== 'repository') return { provider };
  const repository = path
    ?.replace(/\/+$/, '')
    .replace(/\.git$/, '')
    .split('/')
    .at(-1);
  if (!repository)
    return `git did not say which repository it is for: git config --global credential.${protocol}://${host}.useHttpPath true`;
  return { provider, scope: { repositories: [repository] } };
}

function attributesOf(text: string): Record<string, string> {
  const lines = text.split('\n').filter((line) => line.includes('='));
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}
