import { createHash } from 'node:crypto';
import { type Kysely, sql } from 'kysely';
import type { Dialect } from '../backend.ts';

interface Then {
  agents: { name: string; body: string };
  agent_keys: { thumbprint: string; agent: string };
}

const ROWS = 500;

/** Each registered key once, so that the database itself keeps two agents from having one key. */
export async function up(db: Kysely<unknown>, dialect: Dialect): Promise<void> {
  await sql
    .raw(
      `create table agent_keys (thumbprint text not null primary key, agent text not null) ${dialect === 'sqlite' ? 'strict' : ''}`,
    )
    .execute(db);
  const tables = db as Kysely<Then>;
  for (let after = ''; ; ) {
    const agents = await tables
      .selectFrom('agents')
      .select(['name', 'body'])
      .where('name', '>', after)
      .orderBy('name')
      .limit(ROWS)
      .execute();
    const last = agents.at(-1);
    if (!last) return;
    after = last.name;
    const rows = agents.flatMap(({ name, body }) =>
      keysIn(body).map((key) => ({ thumbprint: thumbprint(key), agent: name })),
    );
    // Where two have one key already, that stays with both, and no third can get it.
    for (let at = 0; at < rows.length; at += ROWS)
      await tables
        .insertInto('agent_keys')
        .values(rows.slice(at, at + ROWS))
        .onConflict((conflict) => conflict.column('thumbprint').doNothing())
        .execute();
  }
}

interface Key {
  kty: string;
  crv: string;
  x: string;
  y?: string;
}

function keysIn(body: string): Key[] {
  try {
    return (JSON.parse(body) as { keys?: Key[] }).keys ?? [];
  } catch {
    return [];
  }
}

/** RFC 7638. */
function thumbprint({ kty, crv, x, y }: Key): string {
  return createHash('sha256')
    .update(JSON.stringify(kty === 'EC' ? { crv, kty, x, y } : { crv, kty, x }))
    .digest('base64url');
}
