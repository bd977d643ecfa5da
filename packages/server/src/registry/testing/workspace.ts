import { createHash, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Manifest, type ManifestInput, manifest, type PublicJwk, publicJwk } from '@gatehouse/protocol';
import { type Clock, createLog } from '../../platform/index.ts';
import { openStorage, type RecordChange, type Storage } from '../../storage/index.ts';
import { createRegistry, type Registry, type RegistryDependencies, type ServedDefinition } from '../index.ts';

/** A registry on a real database of its own, whose changes are recorded in a real log of that database. */
export interface Workspace extends AsyncDisposable {
  registry: Registry;
  storage: Storage;
  clock: Clock & { nowMs: number };
  /** Another registry on the same storage, as another replica has it: it sees what it is told. */
  another(options?: Partial<RegistryDependencies>): Promise<Registry>;
  /** Operations recorded so far, in order. */
  operations(): Promise<string[]>;
  records(): Promise<{ operation: string; entry: { by: string; changes: string[]; detail?: string } }[]>;
  fence(key: string): Promise<number>;
  fences(): Promise<Record<string, number>>;
  /** Everything that is stored but times, to see that nothing was written. */
  everything(): Promise<string>;
}

/** `database`: a PostgreSQL of its own instead of SQLite; `replica`: its name among several on one database. */
export interface WorkspaceOptions extends Partial<RegistryDependencies> {
  database?: string;
  replica?: string;
}

export async function openWorkspace({
  database = 'sqlite',
  replica = 'a',
  ...options
}: WorkspaceOptions = {}): Promise<Workspace> {
  const dataDir = mkdtempSync(join(tmpdir(), 'registry-'));
  const clock = {
    nowMs: Date.UTC(2026, 0, 1),
    now() {
      return this.nowMs;
    },
  };
  const log = createLog('error');
  const storage = await openStorage({ database, dataDir, log, clock });
  await storage.openLog({ id: `example.test/log/${replica}`, replica, vkey: 'key', now: clock.now() });
  const recordChange = recorder(storage, clock);
  const another = (more: Partial<RegistryDependencies> = {}) =>
    createRegistry({ storage, clock, trustDomain: 'example.test', recordChange, log, ...options, ...more });
  const registry = await another();

  return {
    registry,
    storage,
    clock,
    another,
    async operations() {
      const rows = await storage.db.selectFrom('records').select('operation').orderBy('sequence').execute();
      return rows.map(({ operation }) => operation);
    },
    async records() {
      const rows = await storage.db.selectFrom('records').select(['operation', 'entry']).orderBy('sequence').execute();
      return rows.map(({ operation, entry }) => ({ operation, entry: JSON.parse(entry) }));
    },
    async fence(key) {
      const row = await storage.db.selectFrom('fences').select('version').where('key', '=', key).executeTakeFirst();
      return row?.version ?? 0;
    },
    async fences() {
      const rows = await storage.db.selectFrom('fences').selectAll().execute();
      return Object.fromEntries(rows.map(({ key, version }) => [key, version]));
    },
    async everything() {
      const { db } = storage;
      return JSON.stringify([
        await db.selectFrom('objects').selectAll().execute(),
        await db.selectFrom('agents').selectAll().execute(),
        await db.selectFrom('definitions').selectAll().execute(),
        await db.selectFrom('tasks').selectAll().execute(),
        await db.selectFrom('fences').selectAll().execute(),
        await db.selectFrom('changes').selectAll().execute(),
        (await db.selectFrom('records').selectAll().execute()).length,
      ]);
    },
    async [Symbol.asyncDispose]() {
      await storage.close();
      rmSync(dataDir, { recursive: true });
    },
  };
}

let recorded = 0;

function recorder(storage: Storage, clock: Clock): RecordChange {
  return async (transaction, ...changes) => {
    const none = { person: null, resource: null, effect: null, result: null, approval: null, ticket: null };
    const records = changes.map((change) => {
      const entry = JSON.stringify(change);
      return {
        ...none,
        kind: 'change',
        actionId: `act_${++recorded}`,
        at: clock.now(),
        operation: change.operation,
        agent: change.agent ?? null,
        task: change.task ?? null,
        tool: change.tool ?? null,
        entry,
        leafHash: createHash('sha256').update(entry).digest(),
      };
    });
    const written = await storage.appendWithin(transaction, { guards: [], records, bodies: [] });
    if (!written.ok) throw new Error('not recorded');
  };
}

export const by = 'person:admin@example.test';

export function manifests(...inputs: ManifestInput[]): Manifest[] {
  return inputs.map((input) => manifest.parse(input));
}

export function newKey(): PublicJwk {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return publicJwk.parse(publicKey.export({ format: 'jwk' }));
}

export const agentInput = {
  kind: 'Agent',
  name: 'agent-support-refunds-prod',
  owner: 'owner@example.test',
  purpose: 'Answers support tickets.',
  environment: 'production',
  blueprint: 'support',
} satisfies ManifestInput;

export const shopInput = {
  kind: 'ToolServer',
  name: 'shop',
  environments: ['production'],
  transport: { type: 'stdio', command: 'node', args: ['shop.ts'] },
  tools: {
    get_order: { tier: 1, effects: ['read'], resourceArgument: 'order' },
    refund_order: { tier: 3, effects: ['pay'], resourceArgument: 'order' },
  },
} satisfies ManifestInput;

/** A small workspace that is whole. */
export function baseInputs(): ManifestInput[] {
  return [
    { kind: 'Environment', name: 'production', production: true },
    { kind: 'Environment', name: 'staging' },
    { kind: 'Person', email: 'admin@example.test', displayName: 'Admin', roles: ['admin'] },
    { kind: 'Person', email: 'owner@example.test', displayName: 'Owner', roles: ['owner'] },
    shopInput,
    {
      kind: 'Template',
      name: 'refund-order',
      parameters: {
        order: { type: 'integer' },
        customer: { type: 'string' },
        note: { type: 'string', required: false },
      },
      allow: [{ tools: ['shop/get_order', 'shop/refund_order'], when: { order: '$order' } }],
      ttlSeconds: 600,
    },
    { kind: 'Blueprint', name: 'support', templates: ['refund-order'] },
    agentInput,
    { kind: 'Policy', name: 'caps', cedar: 'forbid(principal, action, resource) when { false };' },
  ];
}

export function tool(name: string, description = `Does ${name}.`, more: Record<string, never> = {}): ServedDefinition {
  return {
    kind: 'tool',
    name,
    body: {
      name,
      description,
      inputSchema: { type: 'object', properties: { order: { type: 'integer' } }, required: ['order'] },
      ...more,
    },
  };
}
