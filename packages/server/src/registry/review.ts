import { GatehouseError } from '../platform/index.ts';
import type { Database, Tables } from '../storage/index.ts';
import { announce, type Context, emptyChangeSet, flush, lines, showOwn } from './context.ts';
import { fromDefinitionRow, readServer, type StoredDefinition, writeDefinitions } from './definition-rows.ts';
import { differences, inWords } from './differences.ts';
import { isGranted, isServedTwice, lookAlikesOf, notGranted, reasonsHeld } from './judge.ts';
import { fromObjectRow } from './objects.ts';
import { touchDefinition } from './settle.ts';
import type { DefinitionKind, PinnedDefinition } from './types.ts';
import { validateWithin } from './validate.ts';

/** A person's yes or no to one served definition, named by the digest that the person saw. */
export async function review(
  context: Context,
  of: { server: string; kind: DefinitionKind; name: string },
  decision: 'approve' | 'reject',
  expectedDigest: string,
  by: string,
): Promise<PinnedDefinition> {
  const { result, changes } = await context.storage.transaction(async (transaction) => {
    const changes = emptyChangeSet();
    const now = context.clock.now();
    const { manifest } = await readServer(transaction, of.server);
    const all = await readDefinitionRows(transaction, { server: of.server });
    const before = all.map(fromDefinitionRow).find(({ kind, name }) => kind === of.kind && name === of.name);
    if (!before)
      throw new GatehouseError('not-found', 'definition.unknown', `${of.server} has no ${of.kind} "${of.name}".`);
    const label = describe(before);
    if (before.served?.digest !== expectedDigest) {
      throw new GatehouseError(
        'conflict',
        'definition.changed',
        `${label} is no longer served as you saw it${before.served ? `: it is ${before.served.digest} now` : ''}. Look at it again.`,
      );
    }
    const lookAlikes = lookAlikesOf(all.map(fromDefinitionRow));
    const pinned = (definition: StoredDefinition): PinnedDefinition => ({
      ...definition,
      reason: reasonsHeld({ manifest, definition, lookAlikes: lookAlikes(definition), firstSight: false }),
    });
    if (before.state === 'approved' && decision === 'approve') return { result: pinned(before), changes };
    if (before.state !== 'held')
      throw new GatehouseError(
        'conflict',
        'definition.not-held',
        `${label} does not wait for review: it is ${before.state}. To keep an approved tool out, take it out of the manifest.`,
      );
    const after: StoredDefinition = { ...before, reviewedBy: by, reviewedAt: now };
    if (decision === 'approve') {
      checkApprovable(before, manifest, label);
      Object.assign(after, { state: 'approved', approved: before.served });
    }
    await writeDefinitions(transaction, [after]);
    touchDefinition(changes, before, after);
    announce(changes, 'definition', of.server);
    changes.records.push({
      operation: `definition.${decision}`,
      by,
      ...(of.kind === 'tool' && { tool: label }),
      changes: lines([
        `${label}: ${decision === 'approve' ? 'approved' : 'rejected'}, ${expectedDigest}`,
        ...definitionChanges(before),
      ]),
    });
    await flush(context, transaction, changes);
    if (decision === 'approve') await validateWithin(context, transaction, changes);
    return { result: pinned(after), changes };
  });
  await showOwn(context, changes);
  return result;
}

/** What a review can't say, because the manifest has to. */
function checkApprovable(
  definition: StoredDefinition,
  manifest: Parameters<typeof isGranted>[0]['manifest'],
  label: string,
): void {
  const refuse = (why: string) => new GatehouseError('conflict', 'definition.not-approvable', `${label}: ${why}`);
  if (!isGranted({ manifest, definition })) throw refuse(notGranted(definition.kind, definition.name, manifest.name));
  const pin = definition.kind === 'tool' ? manifest.tools[definition.name]?.definition : undefined;
  if (pin !== undefined && pin !== definition.served?.digest)
    throw refuse(`The manifest pins ${pin}. Change or remove the pin there; that approves this definition, too.`);
  if (isServedTwice(definition.served?.body))
    throw refuse(
      'The server serves this name more than once, so nobody can tell which would be called. Correct the server.',
    );
}

/** What a reviewer has to look at: how the served definition differs from the approved one, line by line. */
export function definitionChanges({ approved, served }: Pick<PinnedDefinition, 'approved' | 'served'>): string[] {
  if (!approved || !served) return [];
  return differences(approved.body, served.body).map(inWords);
}

function describe({ server, kind, name }: StoredDefinition): string {
  return kind === 'tool' ? `${server}/${name}` : `${server} ${kind} ${name}`.trim();
}

export async function listDefinitions(
  db: Database,
  filter: { server?: string; state?: PinnedDefinition['state'] },
): Promise<PinnedDefinition[]> {
  // Look-alikes are found among all of a server's names, also those that the filter leaves out.
  const rows = await readDefinitionRows(db, filter.server === undefined ? {} : { server: filter.server });
  const servers = await db.selectFrom('objects').select('body').where('kind', '=', 'ToolServer').execute();
  const manifests = new Map(
    servers.map((row) => fromObjectRow(row).manifest).map((each) => [nameOfServer(each), each]),
  );
  const listed: PinnedDefinition[] = [];
  for (const [server, group] of Map.groupBy(rows, (row) => row.server)) {
    const manifest = manifests.get(server);
    if (manifest?.kind !== 'ToolServer') continue;
    const definitions = group.map(fromDefinitionRow);
    const lookAlikes = lookAlikesOf(definitions);
    for (const definition of definitions) {
      if (filter.state !== undefined && definition.state !== filter.state) continue;
      const reason = reasonsHeld({ manifest, definition, lookAlikes: lookAlikes(definition), firstSight: false });
      listed.push({ ...definition, reason });
    }
  }
  return listed;
}

function nameOfServer(manifest: ReturnType<typeof fromObjectRow>['manifest']): string {
  return manifest.kind === 'ToolServer' ? manifest.name : '';
}

async function readDefinitionRows(db: Database, filter: { server?: string }): Promise<Tables['definitions'][]> {
  let query = db.selectFrom('definitions').selectAll().orderBy('server').orderBy('kind').orderBy('name');
  if (filter.server !== undefined) query = query.where('server', '=', filter.server);
  return query.execute();
}
