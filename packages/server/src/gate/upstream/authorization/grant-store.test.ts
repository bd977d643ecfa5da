import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createLog, Secret, systemClock } from '../../../platform/index.ts';
import { createSealer, openStorage } from '../../../storage/index.ts';
import { upstreamLimits } from '../limits.ts';
import { createGrantStore } from './grant-store.ts';

const place = { server: 'crm', environment: 'production' };
const grant = {
  token: {
    value: new Secret('access'),
    key: undefined,
    issuer: 'https://as.example',
    resource: 'https://crm.example/mcp',
    clientId: 'gatehouse',
    scopes: ['read'],
    expiresAt: null,
    refreshToken: new Secret('refresh'),
  },
  registered: undefined,
  binding: 'of https://crm.example/mcp',
  connectedBy: 'person:operator@example.test',
  connectedAt: 1,
};

/** @proves law-3.secrets-stay */
test('a grant is for the server that it was given for, whatever somebody writes into its row', async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-grants-'));
  const log = createLog('error', () => undefined);
  const storage = await openStorage({ database: 'sqlite', dataDir, log, clock: systemClock });
  t.after(async () => {
    await storage.close();
    rmSync(dataDir, { recursive: true, force: true });
  });
  const grants = createGrantStore({
    storage,
    sealer: createSealer(Buffer.alloc(32, 7)),
    recordChange: async () => undefined,
    clock: systemClock,
    limits: upstreamLimits,
  });
  await storage.transaction((transaction) => grants.put(transaction, place, grant));
  const moved = {
    binding: 'of https://evil.example/mcp',
    issuer: 'https://evil.example',
    resource: 'https://evil.example/mcp',
    client_id: 'evil',
  };
  await storage.db.updateTable('upstream_grants').set(moved).execute();
  const first = await grants.read(place);
  assert.ok(first);
  assert.equal(first.binding, grant.binding);
  assert.deepEqual(
    [first.token.issuer, first.token.resource, first.token.clientId],
    ['https://as.example', 'https://crm.example/mcp', 'gatehouse'],
  );

  await grants.replace(place, first, { ...grant.token, value: new Secret('renewed') });
  assert.equal((await grants.read(place))?.binding, grant.binding, 'nor by a renewal');
  const need = { reason: 'nobody', scopes: ['read'], resourceMetadata: 'https://crm.example/metadata' };
  await grants.putNeed(place, need, await grants.read(place));
  assert.deepEqual(await grants.need(place), { ...need, at: (await grants.need(place))?.at });
  const [{ sealed }] = (await storage.db.selectFrom('upstream_demands').select('sealed').execute()) as [
    { sealed: Uint8Array },
  ];
  assert.ok(!Buffer.from(sealed).includes('crm.example'));
  await grants.putNeed(
    { ...place, server: 'evil' },
    { ...need, resourceMetadata: 'https://evil.example/metadata' },
    undefined,
  );
  const lead = storage.db.selectFrom('upstream_demands').select('sealed').where('server', '=', 'evil');
  await storage.db.updateTable('upstream_demands').set({ sealed: lead }).where('server', '=', 'crm').execute();
  await assert.rejects(grants.need(place), 'nor what another server asked for');
  await storage.db.updateTable('upstream_grants').set({ id: 'production/other', server: 'other' }).execute();
  await assert.rejects(grants.read({ ...place, server: 'other' }), 'nor for another server');
});
