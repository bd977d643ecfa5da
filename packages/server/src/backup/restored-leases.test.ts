import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addAgent, openDesk } from '../approvals/testing/desk.ts';
import { createLeases } from '../credentials/leases/leases.ts';
import { createReconciler } from '../credentials/leases/reconcile.ts';
import { createFakeProvider, narrowToTables } from '../credentials/testing/fake-provider.ts';
import { onEachDatabase } from '../identity/people/testing/databases.ts';
import { settleRestored } from './settle.ts';

const nobody = async () => {
  throw new Error('nothing is issued here');
};

onEachDatabase('leases of a restored workspace', (database) => {
  test('keep the keys that other systems were told to trust, and it is said which', async () => {
    const { house } = await openDesk({ database: await database() });
    try {
      const key = {
        algorithm: 'ES256',
        public_jwk: '{}',
        sealed_private: Uint8Array.of(1),
        state: 'active',
        created_at: 0,
      };
      const purposes = ['ssh-ca', 'x509-clouds', 'jwt-svid'] as const;
      for (const purpose of purposes)
        await house.storage.db
          .insertInto('signing_keys')
          .values({ ...key, kid: `restored-${purpose}`, purpose })
          .execute();
      const { trustedElsewhere } = await settleRestored(house, { by: 'operator', keepsActive: false });
      assert.deepEqual(trustedElsewhere, ['ssh-ca', 'x509-clouds']);
      const [settled] = await house.records('workspace.settle');
      assert.ok(settled?.changes.some((line) => line.endsWith(': ssh-ca, x509-clouds')));
    } finally {
      await house.close();
    }
  });

  /** @proves lease.restored */
  test('are the original’s: nothing is ended before it is said that this replaces it, and then everything is', async () => {
    const { house } = await openDesk({ database: await database() });
    try {
      const { task } = await addAgent(house, 'agent-restored');
      const fake = createFakeProvider();
      const reconciler = createReconciler({ ...house, openFor: () => fake.provider, isActive: () => false });
      const leases = createLeases({
        ...house,
        open: async () => ({
          ...{ provider: fake.provider, narrow: narrowToTables, declared: {} },
          ...{ guard: { key: 'object:CredentialProvider/orders', version: 0 } },
          life: { defaultSeconds: 900, maxSeconds: 1_800 },
        }),
        wake: () => undefined,
        declaredAt: () => undefined,
      });
      const request = { provider: 'orders', agent: 'agent-restored', task, environment: 'prod', asked: {} };
      for (const purpose of ['server:a', 'server:b'])
        await leases.issue({ ...request, purpose, within: [], until: [] }, []);
      // Hidden before the copy was made: the original's as well.
      const { lease: hidden } = await leases.issue({ ...request, purpose: 'server:c', within: [], until: [] }, []);
      await house.storage.db.deleteFrom('leases').where('id', '=', hidden.id).execute();
      const settled = await settleRestored(house, { by: 'operator', keepsActive: false });
      assert.equal(settled.leases, 2);
      // A server that is started has nothing in memory.
      const copy = createLeases({ ...house, open: nobody, wake: () => undefined, declaredAt: () => ({}) });
      for (let hour = 0; hour < 3; hour++) {
        house.pass(3_600_000);
        await copy.compare();
        await reconciler.work();
      }
      assert.equal(fake.accounts.size, 3);
      assert.deepEqual(await house.records('seal.broken'), []);
      const { leases: left } = await leases.list({ open: true, limit: 10 });
      assert.deepEqual(
        left.map(({ state }) => state),
        ['revoking', 'revoking'],
      );
      assert.match(left[0]?.problem ?? '', /take-over/);
      assert.deepEqual(await leases.takeOver('person:admin@example.test'), { leases: 2 });
      await copy.compare();
      await reconciler.work();
      assert.equal(fake.accounts.size, 0);
      assert.match(String((await house.records('seal.broken'))[0]?.changes), new RegExp(hidden.id));
      assert.deepEqual((await leases.list({ open: true, limit: 10 })).leases, []);
    } finally {
      await house.close();
    }
  });
});
