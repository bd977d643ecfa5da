import type { DeviationKind } from '@gatehouse/protocol';
import type { DatabaseTransaction, Storage, Tables } from '../../storage/index.ts';
import { type Cell, learn, newProfile, newWhole, type Profile, type Whole } from './profile.ts';

/** Calls that were unusual and not approved, as one more profile: nothing of it counts until a person says so. */
export interface Unusual {
  profile: Whole;
  kinds: Partial<Record<DeviationKind, number>>;
}

export interface OfTool {
  usual: Profile;
  unusual: Unusual | null;
}

/** All that is known of one agent. */
export interface Known {
  /** Fence of the agent's baseline: raised when it is begun anew. */
  generation: number;
  whole: Whole;
  tools: Map<string, OfTool>;
}

/** What is to be added: calls of one tool that have the hour, and what they teach, in common. */
export interface Addition {
  tool: string;
  cell: Cell;
  /** Of calls that nothing is learned from. */
  unusual: readonly DeviationKind[] | null;
}

export interface Needs {
  days: number;
  calls: number;
}

type Row = Tables['baselines'];

/** In the row of all tools. */
const WHOLE = '';
export const fenceOf = (agent: string) => `baseline:${agent}`;

const newKnown = (generation: number, zone: string): Known => ({
  generation,
  whole: newWhole(zone),
  tools: new Map(),
});

export function add(known: Known, { tool, cell, unusual }: Addition, needs: Needs, mostTools: number): void {
  let own = known.tools.get(tool);
  if (!own && known.tools.size < mostTools) {
    own = { usual: newProfile(), unusual: null };
    known.tools.set(tool, own);
  }
  if (!unusual) {
    learn(known.whole, own?.usual, cell, needs);
    return;
  }
  if (!own) return;
  own.unusual ??= { profile: newWhole(known.whole.zone), kinds: {} };
  learn(own.unusual.profile, undefined, cell, NEVER);
  for (const kind of unusual) own.unusual.kinds[kind] = (own.unusual.kinds[kind] ?? 0) + cell.calls;
}

/** What is unusual is kept as if it were still being learned. */
const NEVER: Needs = { days: Number.POSITIVE_INFINITY, calls: Number.POSITIVE_INFINITY };

export async function read(db: Storage['db'] | DatabaseTransaction, agent: string, zone: string): Promise<Known> {
  // The fence first: a baseline that is begun anew between the two reads is then found by the next write.
  const fence = await db.selectFrom('fences').select('version').where('key', '=', fenceOf(agent)).executeTakeFirst();
  const rows = await db.selectFrom('baselines').selectAll().where('agent', '=', agent).execute();
  const known = newKnown(fence?.version ?? 0, zone);
  for (const row of rows) {
    if (row.tool === WHOLE) known.whole = JSON.parse(row.usual) as Whole;
    else known.tools.set(row.tool, ofTool(row));
  }
  return known;
}

const ofTool = (row: Row): OfTool => ({
  usual: JSON.parse(row.usual) as Profile,
  unusual: row.unusual === null ? null : (JSON.parse(row.unusual) as Unusual),
});

export async function write(
  transaction: DatabaseTransaction,
  agent: string,
  { whole, tools }: Known,
  touched: Iterable<string>,
  now: number,
): Promise<void> {
  const row = (tool: string, usual: Profile, unusual: Unusual | null): Row => ({
    agent,
    tool,
    usual: JSON.stringify(usual),
    unusual: unusual && JSON.stringify(unusual),
    updated_at: now,
  });
  const rows = [row(WHOLE, whole, null)];
  for (const tool of touched) {
    const own = tools.get(tool);
    if (own) rows.push(row(tool, own.usual, own.unusual));
  }
  await transaction
    .insertInto('baselines')
    .values(rows)
    .onConflict((conflict) =>
      conflict.columns(['agent', 'tool']).doUpdateSet(({ ref }) => ({
        usual: ref('excluded.usual'),
        unusual: ref('excluded.unusual'),
        updated_at: ref('excluded.updated_at'),
      })),
    )
    .execute();
}
