import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createApprovals } from '../approvals/index.ts';
import { createPeople } from '../identity/index.ts';
import { onEachDatabase } from '../identity/people/testing/databases.ts';
import { openHouse } from '../identity/testing/house.ts';
import { createRegistry } from '../registry/index.ts';
import { createDepartures, offboard } from './offboard.ts';

const USER = 'user@example.test';

onEachDatabase('departures', (database) => {
  /** @proves people.leaves-nothing */
  test('who is back is not sent away again by what was still to be settled, whatever this replica has heard of it', async () => {
    const house = await openHouse({ database: await database() });
    try {
      await house.furnish();
      await house.apply({ kind: 'Person', email: USER, displayName: 'User', roles: ['owner'] });
      const { storage, recordChange, clock, log } = house;
      const people = createPeople({ ...house, publicUrl: 'http://localhost' });
      const approvals = await createApprovals({ ...house, people });
      const deps = { storage, recordChange, people, approvals, delegations: house.identity.delegations };
      await offboard({ ...deps, registry: house.registry }, USER, { by: 'operator' });

      const elsewhere = await createRegistry({ storage, clock, trustDomain: 'example.test', recordChange, log });
      const failures: unknown[] = [];
      const departures = createDepartures({
        ...deps,
        registry: elsewhere,
        onFailure: (error) => failures.push(error),
      });
      departures.look([USER]);
      await storage.transaction((transaction) => house.registry.reinstatePerson(transaction, USER, 'operator'));
      assert.ok(!elsewhere.snapshot().people.has(USER), 'it has not heard of it yet');
      assert.equal(await departures.settle(), 1);
      assert.deepEqual(failures, []);
      await house.registry.refresh([]);
      assert.ok(house.registry.snapshot().people.has(USER));
      assert.equal((await house.records('person.depart')).length, 1);
    } finally {
      await house.close();
    }
  });
});
