import type { LocalClient } from '../types.ts';

/** For programs of one's own: `GET /plain/PROVIDER` gives the parts by name, a scope may be in the body. */
export const plain: LocalClient = {
  name: 'plain',
  async answer({ path: [provider = ''], body, waitMs }, broker) {
    const scope = scopeIn(body);
    if (!scope)
      return { status: 400, body: 'The body is a scope: a JSON object, or nothing for all that the task may have.' };
    const given = await broker.ask({ provider, scope }, waitMs);
    if (given.kind === 'waiting') return { status: 202, body: given.detail };
    if (given.kind === 'refused') return { status: given.status, body: given.detail };
    const { lease, parts, expiresAt } = given;
    return { status: 200, body: { lease, credential: parts, expires_at: new Date(expiresAt).toISOString() } };
  },
};

function scopeIn(body: string): Record<string, unknown> | undefined {
  if (body.trim() === '') return {};
  try {
    const scope: unknown = JSON.parse(body);
    return typeof scope === 'object' && scope !== null && !Array.isArray(scope)
      ? (scope as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
