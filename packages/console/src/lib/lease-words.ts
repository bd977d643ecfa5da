import type { LeaseState, ShownLease } from '@gatehouse/protocol';
import type { Hue } from './words.ts';

export const leaseStateWords: Record<LeaseState, { label: string; means: string; hue: Hue }> = {
  intended: { label: 'Being made', means: 'On record; its provider is making it', hue: 'blue' },
  created: { label: 'Made', means: 'Its provider has made it; nothing was sent with it yet', hue: 'blue' },
  active: { label: 'In use', means: 'It has been sent or handed out, and works now', hue: 'green' },
  revoking: { label: 'Being ended', means: 'No call gets it any more; not verified to be gone yet', hue: 'amber' },
  stuck: { label: 'Stuck', means: 'Ending it has failed again and again; it is tried on', hue: 'red' },
  dropped: { label: 'Given up', means: 'Two people agreed not to try any more; something may work on', hue: 'orange' },
  revoked: { label: 'Ended', means: 'Verified to be gone', hue: 'gray' },
};

/** States in which somebody may hold something that works. */
export const isOpen = ({ state }: Pick<ShownLease, 'state'>): boolean => state !== 'revoked' && state !== 'dropped';
export const isLive = ({ state }: Pick<ShownLease, 'state'>): boolean =>
  state === 'intended' || state === 'created' || state === 'active';

/** `server:orders` → `tool server orders` */
export function purposeWords({ purpose, agent }: Pick<ShownLease, 'purpose' | 'agent'>): string {
  if (agent === '') return 'a test, for nobody';
  if (purpose === 'direct') return 'its agent’s own clients';
  const [kind, ...name] = purpose.split(':');
  return kind === 'server' && name.length > 0 ? `tool server ${name.join(':')}` : purpose;
}

const kinds: Record<string, string> = {
  postgres: 'PostgreSQL role',
  mariadb: 'MariaDB user',
  redis: 'Redis user',
  'github-app': 'GitHub token',
  'gitlab-project': 'GitLab token',
  openbao: 'OpenBao credential',
  oauth: 'OAuth token',
  static: 'stored secret',
  aws: 'AWS session',
  'google-cloud': 'Google Cloud token',
  azure: 'Azure token',
  kubernetes: 'Kubernetes token',
  ssh: 'SSH certificate',
  'x509-svid': 'client certificate',
  'signed-jwt': 'signed token',
};

/** `PostgreSQL role`: what a provider of a kind makes. */
export const kindWords = (type: string | undefined): string =>
  type === undefined ? 'credential' : (kinds[type] ?? `${type} credential`);

/** What it may do, one line each; with the words of its kind where they say more than names of members. Nothing is left out. */
export function scopeLines(scope: unknown): string[] {
  if (scope === null || typeof scope !== 'object' || Array.isArray(scope)) return scope == null ? [] : [textOf(scope)];
  return Object.entries(scope).flatMap(([name, value]) => {
    if ((name === 'grants' || name === 'allow') && Array.isArray(value)) return value.map(grantLine);
    return [`${name}: ${textOf(value)}`];
  });
}

function grantLine(grant: unknown): string {
  if (grant === null || typeof grant !== 'object' || Array.isArray(grant)) return textOf(grant);
  const isSql = 'privileges' in grant || 'tables' in grant;
  const [does, to] = isSql ? ['privileges', 'tables'] : ['actions', 'resources'];
  const { [does as string]: what, [to as string]: on, schema, ...rest } = grant as Record<string, unknown>;
  const targets = on === undefined ? [] : [on].flat();
  const isQualified = typeof schema === 'string' && targets.length > 0;
  const where = targets.map((each) => (isQualified ? `${schema}.${textOf(each)}` : textOf(each)));
  const also = Object.entries(isQualified || schema === undefined ? rest : { ...rest, schema });
  return [
    `${what === undefined ? 'all' : textOf(what)}${on === undefined ? '' : ` on ${where.join(', ') || 'none'}`}`,
    ...also.map(([name, value]) => `${name}: ${textOf(value)}`),
  ].join('; ');
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (Array.isArray(value) && value.every((each) => each === null || typeof each !== 'object'))
    return value.length === 0 ? 'none' : value.map(String).join(', ');
  if (value !== null && typeof value === 'object' && !Array.isArray(value))
    return Object.entries(value)
      .map(([name, each]) => `${name} ${textOf(each)}`)
      .join(', ');
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
